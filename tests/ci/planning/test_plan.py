"""What a change touches, in a repository with one project."""

import json
import subprocess
from pathlib import Path

import pytest
from command_lines import Command

from modelyard.ci.errors import ChangesUnknown
from modelyard.ci.hosts import CiContext
from modelyard.ci.planning import plan_change
from modelyard.ci.records import PlanRecord
from modelyard.projects import open_project

YAML = """name: flights
functions:
  fit: {handler: flights.training:fit}
  prepare: {handler: flights.data:prepare}
  outside: {handler: operator:neg}
graphs: {delays: flights.serving:delays}
workflows:
  main: flights.flows:main
  score: flights.flows:score
  ready: modelyard.workflows.library:batch_predict
"""
FILES = {
    "modelyard.yaml": YAML,
    "README.md": "flights\n",
    "flights/__init__.py": "",
    "flights/columns.py": "NAMES = ['carrier']\n",
    "flights/data.py": "from flights.columns import NAMES\ndef prepare(): return NAMES\n",
    "flights/training.py": "from . import columns\ndef fit(dataset, parameters): return columns.NAMES\n",
    "flights/serving.py": "delays = 1\n",
    "flights/flows.py": "FIT = 'fit'\ndef main(): return FIT, 'prepare'\ndef score(): return 'delays'\n",
    "flights/unused.py": "x = 1\n",
    "tests/test_training.py": "def test_it(): pass\n",
}


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(folder, FILES)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "switch", "-q", "-c", "change")
    return folder


def planned(folder: Path, changes: dict[str, str], **asked: str) -> PlanRecord:
    write(folder, changes)
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-q", "-m", "change")
    return plan_change(open_project(folder), CiContext(host="github", base_branch="main"), **asked)  # type: ignore[arg-type]


def reasons(plan: PlanRecord) -> dict[str, tuple[str, ...]]:
    return {each.name: each.reasons for part in (plan.functions, plan.graphs, plan.workflows) for each in part}


def test_prose_and_tests_touch_nothing(repository: Path) -> None:
    plan = planned(repository, {"README.md": "more\n", "docs/page.md": "x", "tests/test_training.py": "x = 2\n"})

    assert (plan.is_empty, plan.everything) == (True, "")
    assert plan.changed == ("README.md", "docs/page.md", "tests/test_training.py")
    assert plan.summary == "3 changed files touch no function, graph or workflow"


def test_a_function_and_the_workflow_that_names_it(repository: Path) -> None:
    plan = planned(repository, {"flights/training.py": "def fit(dataset, parameters): return 2\n"})
    assert reasons(plan) == {"fit": ("flights/training.py",), "main": ("function fit",)}


def test_imports_are_followed_and_relative_ones_too(repository: Path) -> None:
    plan = planned(repository, {"flights/columns.py": "NAMES = []\n"})
    assert reasons(plan) == {
        "fit": ("flights/columns.py",),
        "prepare": ("flights/columns.py",),
        "main": ("function fit", "function prepare"),
    }


def test_a_graph_alone_trains_nothing(repository: Path) -> None:
    plan = planned(repository, {"flights/serving.py": "delays = 2\n"})
    assert (reasons(plan), plan.workflows) == ({"delays": ("flights/serving.py",)}, ())


def test_a_workflow_itself(repository: Path) -> None:
    plan = planned(repository, {"flights/flows.py": FILES["flights/flows.py"] + "# more\n"})
    assert reasons(plan) == {"main": ("flights/flows.py",), "score": ("flights/flows.py",)}


def test_a_package_touches_all_that_is_in_it(repository: Path) -> None:
    plan = planned(repository, {"flights/__init__.py": "x = 1\n"})
    assert set(reasons(plan)) == {"fit", "prepare", "delays", "main", "score"}  # not what is from elsewhere


def test_what_nothing_imports_touches_nothing(repository: Path) -> None:
    assert planned(repository, {"flights/unused.py": "x = 2\n"}).is_empty


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("pyproject.toml", "pyproject.toml says what is installed"),
        ("requirements-dev.txt", "requirements-dev.txt says what is installed"),
        ("flights/query.sql", "flights/query.sql may be read by anything"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml says how the job runs"),
        # Data may be called like prose, or like tests.
        ("notices.csv", "notices.csv may be read by anything"),
        ("inputs/authors.parquet", "inputs/authors.parquet may be read by anything"),
        ("inputs/test/rows.csv", "inputs/test/rows.csv may be read by anything"),
        ("flights/docs/labels.json", "flights/docs/labels.json may be read by anything"),
        ("daten/größe 日本.csv", "daten/größe 日本.csv may be read by anything"),
    ],
)
def test_what_is_not_known_touches_everything(repository: Path, path: str, reason: str) -> None:
    plan = planned(repository, {path: "x"})
    assert plan.everything == reason
    assert set(reasons(plan)) == {"fit", "prepare", "outside", "delays", "main", "score", "ready"}


@pytest.mark.parametrize("part", ["functions", "workflows"])
def test_a_module_that_was_renamed_touches_everything(repository: Path, part: str) -> None:
    git(repository, "mv", "flights/columns.py", "flights/names.py")
    plan = planned(repository, {"flights/data.py": "from flights.names import NAMES\ndef prepare(): return NAMES\n"})
    assert (plan.everything, len(getattr(plan, part))) == ("flights/columns.py is gone", 3)


def test_another_state_of_a_submodule_touches_everything(repository: Path, tmp_path: Path) -> None:
    git(repository, "switch", "-q", "main")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},rates")
    git(repository, "commit", "-q", "-m", "submodule")
    git(repository, "switch", "-q", "-c", "another")
    git(repository, "update-index", "--cacheinfo", f"160000,{'b' * 40},rates")
    git(repository, "commit", "-q", "-m", "newer")
    plan = plan_change(open_project(repository), CiContext(host="github", base_branch="main"))
    assert (plan.changed, plan.everything) == (("rates",), "rates may be read by anything")


def test_a_branch_that_took_in_the_main_one_changes_what_it_alone_changed(repository: Path) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/data.py": "def prepare(): return 'main went on'\n"})
    git(repository, "commit", "-q", "-a", "-m", "main goes on")
    git(repository, "switch", "-q", "change")
    write(repository, {"flights/serving.py": "delays = 2\n"})
    git(repository, "commit", "-q", "-a", "-m", "the change")
    git(repository, "merge", "-q", "--no-commit", "main")
    # Somebody may hide a change in the merge itself.
    plan = planned(repository, {"flights/training.py": "def fit(d, p): return 'in the merge'\n"})
    assert plan.changed == ("flights/serving.py", "flights/training.py")
    assert set(reasons(plan)) == {"delays", "fit", "main"}


def test_a_module_that_is_gone_touches_everything(repository: Path) -> None:
    git(repository, "rm", "-q", "flights/unused.py")
    assert planned(repository, {}).everything == "flights/unused.py is gone"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import importlib\ndef fit(d, p): return importlib.import_module(p['name'])\n",
            "training.py imports or runs what only running it tells (line 2)",
        ),
        ("def fit(:\n", "training.py cannot be read as Python"),
        (
            "from importlib import import_module as load\ndef fit(d, p): return load(p['name'])\n",
            "training.py imports under another name what imports (line 1)",
        ),
        (
            "import importlib\nload = importlib.import_module\ndef fit(d, p): return load(p['name'])\n",
            "training.py takes under another name what imports (line 2)",
        ),
        (
            "import importlib\ndef fit(d, p): return importlib.import_module('.unused', p['package'])\n",
            "training.py imports or runs what only running it tells (line 2)",
        ),
        (
            "import pkgutil, flights\ndef fit(d, p): return list(pkgutil.iter_modules(flights.__path__))\n",
            "training.py imports or runs what only running it tells (line 2)",
        ),
    ],
)
def test_a_module_that_cannot_be_followed_depends_on_everything(repository: Path, text: str, reason: str) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/training.py": text})
    git(repository, "commit", "-q", "-a", "-m", "dynamic")
    git(repository, "switch", "-q", "-c", "another")

    assert reasons(planned(repository, {"flights/unused.py": "x = 3\n"})) == {
        "fit": (reason,),
        "main": ("function fit",),
    }


def test_a_method_called_eval_imports_nothing(repository: Path) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/training.py": "def fit(d, p): return p['network'].eval()\n"})
    git(repository, "commit", "-q", "-a", "-m", "torch")
    git(repository, "switch", "-q", "-c", "another")
    assert planned(repository, {"flights/unused.py": "x = 3\n"}).is_empty


@pytest.mark.parametrize(
    "flows",
    [
        "from flights.names import FIT\ndef main(): return FIT\n",
        "from flights import names\ndef main(): return names.FIT\n",
        "if True:\n    FIT = 'fit'\ndef main(): return FIT\n",
    ],
)
def test_a_workflow_that_names_a_function_by_a_constant(repository: Path, flows: str) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/names.py": "FIT = 'fit'\n", "flights/flows.py": flows + "def score(): return 'x'\n"})
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "names")
    git(repository, "switch", "-q", "-c", "another")
    assert reasons(planned(repository, {"flights/training.py": "x = 3\n"}))["main"] == ("function fit",)


@pytest.mark.parametrize(
    ("flows", "reached"),
    [
        # put together
        ("def main(kind='i'): return f'f{kind}t', 'nothing'\n", True),
        ("def main(kind='i'): return f'train-{kind}'\n", False),
        ("PREFIX = 'fi'\ndef main(): return PREFIX + 't'\n", True),
        ("def main(count=1): return 'rows: ' + str(count + 1)\n", False),
        ("def main(): return 'f%s' % 'it'\n", True),
        ("def main(): return '{}t'.format('fi')\n", True),
        ("def main(): return ''.join(['f', 'it'])\n", True),
        # given, or taken from elsewhere
        ("def main(name: str): step(function=name)\n", True),
        ("def main(name: str): step(label=name)\n", False),
        ("import os\ndef main(): step(function=os.environ['FIT'])\n", True),
        ("def main():\n    name = chosen()\n    step(function=name)\n", True),
        ("def main():\n    name = 'train'\n    step(function=name)\n", False),
        ("def main(): include(ready, {'function': chosen()})\n", True),
        ("NAMES = {'a': 'train'}\ndef main(): step(function=NAMES['a'])\n", False),
        ("def main():\n    for name in ('a', 'b'):\n        step(function=name)\n", False),
        ("def main():\n    for name in chosen():\n        step(function=name)\n", True),
    ],
)
def test_a_workflow_whose_function_is_not_written_out(repository: Path, flows: str, reached: bool) -> None:
    """What is not known counts as touched; what cannot be meant does not."""
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/flows.py": flows + "def score(): return 'x'\n"})
    git(repository, "commit", "-q", "-a", "-m", "computed")
    git(repository, "switch", "-q", "-c", "another")
    found = reasons(planned(repository, {"flights/training.py": "x = 3\n"}))
    assert found.get("main") == (("function fit, which it may run",) if reached else None)


def test_a_function_that_is_gone_touches_the_workflow_that_names_it(repository: Path) -> None:
    without = YAML.replace("  fit: {handler: flights.training:fit}\n", "")
    assert reasons(planned(repository, {"modelyard.yaml": without})) == {"main": ("function fit, which is gone",)}


def test_a_persons_settings_of_git_hide_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "diff.relative", "true")
    write(tmp_path, {f"ml/{name}": text for name, text in FILES.items()})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "switch", "-q", "-c", "change")
    write(tmp_path, {"ml/flights/serving.py": "delays = 3\n"})
    git(tmp_path, "commit", "-q", "-a", "-m", "change")
    plan = plan_change(open_project(tmp_path / "ml"), CiContext(base_branch="main"))
    assert plan.changed == ("ml/flights/serving.py",)


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, FILES)
    assert plan_change(open_project(tmp_path), CiContext()).everything == "the repository has no commit yet"


def test_a_head_that_is_not_there_is_refused(repository: Path) -> None:
    with pytest.raises(ChangesUnknown, match="has changed in nowhere: there is no such commit") as caught:
        plan_change(open_project(repository), CiContext(), head="nowhere")
    assert caught.value.where == "--head"


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\ndef fit(d, p): return importlib.import_module('flights.unused')\n",
        "import subprocess\ndef fit(d, p): return subprocess.run(['python', '-m', 'flights.unused'])\n",
        "import subprocess\ndef fit(d, p): return subprocess.run(['python', 'flights/unused.py'])\n",
    ],
)
def test_a_module_by_a_written_name_is_followed(repository: Path, text: str) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/training.py": text})
    git(repository, "commit", "-q", "-a", "-m", "by name")
    git(repository, "switch", "-q", "-c", "another")
    assert reasons(planned(repository, {"flights/unused.py": "x = 3\n"}))["fit"] == ("flights/unused.py",)


def test_the_project_file_by_its_entries(repository: Path) -> None:
    changed = YAML.replace("flights.data:prepare}", "flights.data:prepare, requirements: [polars]}")
    assert reasons(planned(repository, {"modelyard.yaml": changed})) == {
        "prepare": ("its definition in modelyard.yaml",),
        "main": ("function prepare",),
    }


def test_the_rest_of_the_project_file_touches_everything(repository: Path) -> None:
    plan = planned(repository, {"modelyard.yaml": YAML + "environments: {prod: {state: s3://bucket/x}}\n"})
    assert plan.everything == "environments in modelyard.yaml has changed"


def test_comments_in_the_project_file_touch_nothing(repository: Path) -> None:
    assert planned(repository, {"modelyard.yaml": "# a comment\n" + YAML}).is_empty


def test_it_begins_where_the_branches_part(repository: Path) -> None:
    git(repository, "switch", "-q", "main")
    write(repository, {"flights/training.py": "def fit(d, p): return 'main went on'\n"})
    git(repository, "commit", "-q", "-a", "-m", "main goes on")
    git(repository, "switch", "-q", "change")
    plan = planned(repository, {"README.md": "more\n"})
    assert (plan.changed, plan.base) == (("README.md",), git(repository, "rev-parse", "main~1"))


def test_no_base_touches_everything(repository: Path) -> None:
    shallow = CiContext(host="github", event="request", base_commit="f" * 40)
    plan = plan_change(open_project(repository), shallow)
    assert plan.everything == f"the commit {'f' * 40} is not in this clone"
    schedule = plan_change(open_project(repository), CiContext(host="gitlab", event="schedule"))
    assert schedule.everything == "the event names no base to compare with"


SHALLOW = "in this clone, which is shallow (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab fetch the history)"


def test_a_shallow_clone_says_what_is_missing(repository: Path, tmp_path: Path) -> None:
    planned(repository, {"README.md": "more\n"})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=change", repository.as_uri(), str(clone))

    def everything(**job: str) -> str:
        return plan_change(open_project(clone), CiContext(**job)).everything  # type: ignore[arg-type]

    first = git(repository, "rev-parse", "main")
    assert everything(host="github", base_commit=first, base_branch="main") == f"the commit {first} is not {SHALLOW}"
    assert everything(host="jenkins", base_branch="main") == f"the branch origin/main is not {SHALLOW}"
    assert everything() == f"nothing that the commit could be compared with is {SHALLOW}"
    git(clone, "remote", "remove", "origin")
    assert everything() == f"there is no branch main or master {SHALLOW}; name what to compare with: --base"
    git(clone, "fetch", "-q", "--depth=1", repository.as_uri(), "main:main")
    assert everything() == f"the two have no common commit {SHALLOW}"


@pytest.mark.parametrize("base", ["nowhere", "--output=x"])
def test_a_base_that_is_not_there_is_refused(repository: Path, base: str) -> None:
    with pytest.raises(ChangesUnknown, match="is not in this clone") as caught:
        plan_change(open_project(repository), CiContext(), base=base)
    assert caught.value.where == "--base"
    assert not (repository / "x").exists()


def test_outside_of_git(tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").write_text(YAML)
    plan = plan_change(open_project(tmp_path), CiContext())
    assert plan.everything == "the project is in no git repository"
    assert len(plan.workflows) == 3


def test_a_project_in_a_folder_of_a_larger_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, {f"ml/a/{name}": text for name, text in FILES.items()} | {"ml/b/other.py": "x = 1\n"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "switch", "-q", "-c", "change")

    write(tmp_path, {"ml/b/other.py": "x = 2\n", "ml/b/query.sql": "select 1"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "the other project")
    job = CiContext(host="github", base_branch="main")
    assert plan_change(open_project(tmp_path / "ml/a"), job).is_empty

    write(tmp_path, {"ml/a/flights/serving.py": "delays = 3\n"})
    git(tmp_path, "commit", "-q", "-a", "-m", "this one")
    assert reasons(plan_change(open_project(tmp_path / "ml/a"), job)) == {"delays": ("flights/serving.py",)}

    write(tmp_path, {"uv.lock": "x"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "dependencies of all")
    assert plan_change(open_project(tmp_path / "ml/a"), job).everything == "uv.lock says what is installed"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("libs/common/rows.py", "libs/common/rows.py is in libs/common, which the project names"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml says how the job runs"),
        ("libs/commoner.py", ""),
    ],
)
def test_what_a_project_names_outside_of_its_folder(tmp_path: Path, path: str, reason: str) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, {f"ml/a/{name}": text for name, text in FILES.items()})
    write(tmp_path, {"ml/a/requirements.txt": "-e ../../libs/common\n-c ../../../elsewhere.txt\n"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "switch", "-q", "-c", "change")
    write(tmp_path, {path: "x = 2\n"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "shared")
    plan = plan_change(open_project(tmp_path / "ml/a"), CiContext(host="github", base_branch="main"))
    assert plan.everything == reason


def test_on_a_persons_machine_what_is_not_committed_counts(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"flights/serving.py": "delays = 4\n", "flights/new.py": "x = 1\n"})
    plan = plan_change(open_project(repository), CiContext())
    assert plan.changed == ("flights/new.py", "flights/serving.py")
    assert reasons(plan) == {"delays": ("flights/serving.py",)}


def test_the_command(repository: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("MODELYARD_OUTPUTS", str(tmp_path / "outputs.env"))
    write(repository, {"flights/training.py": "def fit(dataset, parameters): return 2\n"})

    shown = command("ci", "plan", "--base", "main")
    assert shown.out.splitlines() == [
        "1 changed file touches 1 function, 1 workflow",
        "KIND      NAME  BECAUSE OF",
        "function  fit   flights/training.py",
        "workflow  main  function fit",
    ]
    assert json.loads(command("ci", "plan", "--base", "main", "--matrix").out) == {"include": [{"workflow": "main"}]}
    plan = json.loads((repository / ".modelyard/ci/plan.json").read_text())
    assert plan == json.loads(command("ci", "plan", "--base", "main", "--json").out)
    assert (tmp_path / "outputs.env").read_text().splitlines()[:5] == [
        "AFFECTED=true",
        'FUNCTIONS=["fit"]',
        "GRAPHS=[]",
        'WORKFLOWS=["main"]',
        'MATRIX={"include":[{"workflow":"main"}]}',
    ]


def test_a_dry_run_writes_nothing(repository: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert command("ci", "plan", "--base", "main", "--dry-run").code == 0
    assert not (repository / ".modelyard").exists()


def test_a_branch_that_is_named_like_a_command(repository: Path) -> None:
    hostile = "x;touch${IFS}pwned;$(touch${IFS}pwned)"
    git(repository, "switch", "-q", "-c", hostile)
    write(repository, {"README.md": "more\n"})
    git(repository, "commit", "-q", "-a", "-m", "::set-output name=x::$(touch pwned)")
    job = CiContext(host="github", base_branch="main", branch=hostile)
    assert plan_change(open_project(repository), job).changed == ("README.md",)
    assert not list(repository.rglob("pwned"))
