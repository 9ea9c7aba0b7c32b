"""A project whose workflows are cut into jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.projects import open_project
from modelyard.workflows import Workflow
from modelyard.workflows.engines.jobs import JobRun, RunFolder
from modelyard.workflows.engines.remote import RunRequest

PROJECT = """
name: work
environments:
  dev: {secrets: [FORGE_PASSWORD]}
  prod:
    tracking: ${MLFLOW_URI}
    state: ${HOME}/state
    python: ${OWN_TOKEN}
    secrets: [OWN_TOKEN]
"""
FUNCTIONS = """
from pathlib import Path


def same(**given):
    return given


def write(text):
    Path("data").mkdir(exist_ok=True)
    Path("data/text").write_text(text)
    return {"path": "data/text"}


def read(path):
    return {"text": Path(path).read_text()}


def broken(word):
    raise ValueError(word)


def tell(state, error):
    return {"state": state, "error": error}
"""
FLOWS = '''
from modelyard.workflows import collect, each, exit_status, otherwise, steps, when, workflow


def call(name, function, /, settings=None, **parameters):
    return steps(name=name, **(settings or {})).call(function=f"work.functions:{function}", parameters=parameters)


@workflow
def handing(text: str = "a"):
    """Write a file in one job, and read it in another."""
    written = call("write", "write", text=text)
    call("read", "read", path=written.value["path"])


@workflow
def branching(go: bool = False):
    with when(go):
        call("yes", "same", a=1)
    with otherwise():
        no = call("no", "same", b=2)
    call("all", "same", got=no.value["b"].or_else(0))
    call("told", "tell", {"on_exit": True}, state=exit_status["state"], error=exit_status["error"])


@workflow
def failing(word: str = "bad"):
    call("bad", "broken", word=word)


@workflow
def revealing(word: str):
    call("shown", "same", word=word)
    call("told", "same", {"on_exit": True}, word=word)


@workflow
def looping(items: list[int], parallel: int = 0):
    first = call("first", "same", a=1)
    with each([1, 2], name="known") as number:
        one = call("one", "same", number=number)
        call("two", "same", number=one.value["number"])
    with each(items, name="unknown") as item:
        call("turn", "same", item=item, first=first.value["a"])
    with each([1, 2], parallel=1, name="slowly"):
        call("slow", "same")
    call("last", "same", all=collect(one.value["number"]))


@workflow
def asking(
    rows: int,
    share: float = 0.5,
    fine: float = 0.1 + 0.2,
    large: int = 2**60,
    name: str = "it's $HOME \\u00e4",
    lines: str = "a\\nb: null\\n",
    size: "Literal['s', 'm']" = "s",
    flag: bool = True,
    items: list[int] = [1],
    maybe: int | None = None,
):
    """Ask for parameters of all kinds.

    Parameters
    ----------
    rows
        How many rows; more
        than one.
    """
    call("cache", "same", rows=rows)
    call("heavy", "same", {"resources": {"cpu": 8}, "retries": 2, "retry_delay": 30, "timeout": 600})
    call("fit", "same", {"resources": {"gpu": 1, "cpu": 2}})
    steps(name="promote").promote(model="models:/loans/1")


@workflow
def scheduled(rows: int = 7):
    call("one", "same", rows=rows)
'''


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The project's files."""
    return {
        "modelyard.yaml": PROJECT,
        "work/__init__.py": "",
        "work/functions.py": FUNCTIONS,
        "work/flows.py": f"from typing import Literal\n{FLOWS}",
    }


@pytest.fixture
def project(tmp_path: Path, sources: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, which is the current folder, as in a job."""
    root = tmp_path / "work"
    for name, text in sources.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.chdir(root)
    return root


Flow = Callable[[str], Workflow]


@pytest.fixture
def flow(project: Path) -> Flow:
    """Return a workflow of the project."""

    def load(name: str) -> Workflow:
        found = open_project(project).load_workflow(f"work.flows:{name}")
        assert isinstance(found, Workflow)
        return found

    return load


@pytest.fixture
def request_of(project: Path, flow: Flow) -> Callable[..., RunRequest]:
    """Return what an engine is asked to compile."""

    def made(name: str, **more: Any) -> RunRequest:
        return RunRequest(
            workflow=flow(name),
            name=f"work.flows:{name}",
            inputs={},
            project=str(project),
            project_name="work",
            workflow_run="",
            **more,
        )

    return made


@pytest.fixture
def job_run(project: Path, flow: Flow) -> Callable[..., JobRun]:
    """Return a run as one of its jobs sees it."""

    def made(name: str, inputs: dict[str, Any] | None = None, **more: Any) -> JobRun:
        found = flow(name)
        return JobRun(
            workflow=found,
            inputs=found.bind(inputs or {}),
            folder=RunFolder(project / "handed", project),
            workflow_run="run",
            project=str(project),
            project_name="work",
            **more,
        )

    return made
