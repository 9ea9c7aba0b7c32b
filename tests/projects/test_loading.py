"""Loading the project's code, and one line for each way it can go wrong."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import (
    FunctionNotFound,
    GraphNotFound,
    ModuleHidden,
    NotCallable,
    ProjectImportFailed,
    WorkflowNotFound,
    open_project,
)

Write = Callable[..., Path]
YAML = """\
name: x
functions: {trainer: {handler: 'work.training:fit', description: Fits.}}
graphs: {delays: 'work.serving:graph'}
workflows: {main: 'work.flows:Flows.main'}
"""
FILES = {
    "modelyard.yaml": YAML,
    "work/__init__.py": "",
    "work/training.py": (
        "import math\nNUMBER = 7\n\n"
        "def fit():\n    from work.parts import part\n    return part()\n\n"
        "def _hidden(): ...\n"
    ),
    "work/parts.py": "def part(): return 'here'\n",
    "work/serving.py": "graph = ['a graph']\n",
    "work/flows.py": "class Flows:\n    main = 'a workflow'\n",
}


def test_names_lead_to_code(write: Write) -> None:
    project = open_project(write(FILES))

    assert project.function("trainer").description == "Fits."
    assert project.load_function("trainer")() == "here"
    assert project.load_function("work.training:fit")() == "here"
    assert project.function("work.training:fit").handler == "work.training:fit"
    assert project.load_graph("delays") == project.load_graph("work.serving:graph") == ["a graph"]
    assert project.load_workflow("main") == "a workflow"


def test_src_is_looked_in_too(write: Write) -> None:
    root = write({"modelyard.yaml": "name: x", "src/package_in_src/code.py": "def f(): return 'src'\n"})

    assert open_project(root).load_function("package_in_src.code:f")() == "src"
    assert sys.path[:2] == [str(root), str(root / "src")]


def test_two_projects_with_the_same_names_do_not_mix(write: Write) -> None:
    one = open_project(
        write(
            {"modelyard.yaml": "name: a", "same.py": "import near\ndef f(): return near.X\n", "near.py": "X = 1"}, "a"
        )
    )
    two = open_project(
        write(
            {"modelyard.yaml": "name: b", "same.py": "import near\ndef f(): return near.X\n", "near.py": "X = 2"}, "b"
        )
    )

    assert [each.load_function("same:f")() for each in (one, two, one, two)] == [1, 2, 1, 2]
    assert str(one.source) not in sys.path


def test_code_that_did_not_change_stays_the_same_object(write: Write) -> None:
    project = open_project(write(FILES))

    assert project.load_function("trainer") is project.load_function("trainer")


def test_code_that_changed_is_imported_again(write: Write) -> None:
    root = write(FILES)
    project = open_project(root)
    first = project.load_function("trainer")
    assert first() == "here"
    write({"work/parts.py": "def part(): return 'changed'\n"})
    assert project.load_function("trainer")() == "changed"

    write({"work/training.py": "def fit(): return 'older'\n"})
    os.utime(root / "work/training.py", ns=(1, 1))
    assert project.load_function("trainer")() == "older"
    assert first is not project.load_function("trainer")


def test_unknown_names_suggest_those_of_the_file(write: Write) -> None:
    project = open_project(write(FILES))
    file = project.file.path

    with pytest.raises(FunctionNotFound) as caught:
        project.load_function("trianer")
    assert str(caught.value) == f"{file}: there is no function 'trianer'. Did you mean trainer?"
    with pytest.raises(GraphNotFound) as caught_graph:
        project.load_graph("dealys")
    assert str(caught_graph.value) == f"{file}: there is no graph 'dealys'. Did you mean delays?"
    with pytest.raises(WorkflowNotFound) as caught_workflow:
        project.load_workflow("nightly")
    assert str(caught_workflow.value) == f"{file}: there is no workflow 'nightly'. Known: main."
    assert caught.value.error_kind is ErrorKind.NOT_FOUND


def test_without_any_name_that_is_said(write: Write) -> None:
    project = open_project(write({"modelyard.yaml": "name: x"}))

    with pytest.raises(FunctionNotFound) as caught:
        project.function("fit")
    assert str(caught.value) == f"{project.file.path}: there is no function 'fit'. None is defined."


@pytest.mark.parametrize(
    ("handler", "where", "message"),
    [
        ("work.training:ft", "/work/training.py", "work.training has no ft. Did you mean fit?"),
        ("work.training:zzzzz", "/work/training.py", "work.training has no zzzzz. Known: fit."),
        ("work.flows:Flows.mian", "/work/flows.py", "work.flows has no mian. Did you mean main?"),
        ("work.trainig:fit", "", "there is no module work.trainig. Did you mean work.training?"),
        ("wrk.training:fit", "", "there is no module wrk. Did you mean work?"),
        ("work.zzz:fit", "", "there is no module work.zzz. Modules are looked for in {root}/work."),
        ("zzzzzz:fit", "", "there is no module zzzzzz. Modules are looked for in {root}."),
        ("work.parts.deep:fit", "", "there is no module work.parts.deep. Modules are looked for in {root}."),
    ],
)
def test_a_handler_that_leads_nowhere_is_told(handler: str, where: str, message: str, write: Write) -> None:
    project = open_project(write(FILES))

    with pytest.raises(FunctionNotFound) as caught:
        project.load_function(handler)

    said = message.format(root=project.root)
    assert str(caught.value) == f"{project.root}{where}: there is no function '{handler}': {said}"


def test_what_is_no_function_is_told(write: Write) -> None:
    project = open_project(write(FILES))

    with pytest.raises(NotCallable) as caught:
        project.load_function("work.training:NUMBER")

    assert str(caught.value) == (
        f"{project.root}/work/training.py: work.training:NUMBER must be a function, got a value of type int. "
        "Name a function, or a class to be called."
    )


BROKEN = {
    "raises": ("x = 1\nraise ValueError('bad value')\n", ":2: importing broken raised ValueError: bad value."),
    "deep": ("import inner\n", "/inner.py:2: importing broken raised ZeroDivisionError: division by zero."),
    "syntax": ("x = 1\ndef f(:\n", ":2: importing broken raised SyntaxError: invalid syntax (broken.py, line 2)."),
    "exits": ("import sys\n\nsys.exit('enough')\n", ":3: importing broken raised SystemExit: enough."),
    "library": (
        "import no_such_library.sub\n",
        ":1: importing broken raised ModuleNotFoundError: No module named 'no_such_library'. "
        "Install no_such_library, or name it in the function's requirements.",
    ),
    "own module": (
        "import inner_package.gone\n",
        ":1: importing broken raised ModuleNotFoundError: No module named 'inner_package.gone'.",
    ),
    "own name": (
        "from inner_package import gone\n",
        ":1: importing broken raised ImportError: cannot import name 'gone' from 'inner_package' "
        "({root}/inner_package/__init__.py).",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_code_that_raises_when_imported_is_told_with_its_line(case: str, write: Write) -> None:
    code, expected = BROKEN[case]
    project = open_project(
        write(
            {
                "modelyard.yaml": "name: x",
                "broken.py": code,
                "inner.py": "x = 0\ny = 1 / x\n",
                "inner_package/__init__.py": "",
            }
        )
    )
    place = project.root if expected.startswith("/") else f"{project.root}/broken.py"

    for _ in range(2):
        with pytest.raises(ProjectImportFailed) as caught:
            project.load_function("broken:f")
        assert str(caught.value) == f"{place}{expected.format(root=project.root)}"
        assert caught.value.error_kind is ErrorKind.USER_CODE


def test_a_module_with_the_name_of_a_library_is_told(write: Write) -> None:
    project = open_project(
        write({"modelyard.yaml": "name: x", "json.py": "def f(): ...\n", "sys/x.py": "def f(): ..."})
    )

    with pytest.raises(ModuleHidden) as caught:
        project.load_function("json:f")
    assert str(caught.value) == (
        f"{project.root}/json.py: the module json is hidden by another of the same name, "
        f"{sys.modules['json'].__file__}. "
        "Rename the project's module, or put it into a package of its own."
    )
    with pytest.raises(ModuleHidden, match=r"sys/?: the module sys is hidden by .* built into Python"):
        project.load_function("sys.x:f")


def test_code_that_its_user_imported_is_the_same_code(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"modelyard.yaml": "name: x", "mine_by_user.py": "def f(): return 1\n"})
    monkeypatch.syspath_prepend(str(root))
    import mine_by_user  # type: ignore[import-not-found]

    assert open_project(root).load_function("mine_by_user:f") is mine_by_user.f


def test_code_that_its_user_imported_does_not_hide_the_snapshot(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({"modelyard.yaml": "name: x", "mine_too.py": "def f(): return __file__\n"})
    monkeypatch.syspath_prepend(str(root))
    import mine_too  # type: ignore[import-not-found]

    assert mine_too.f() == f"{root}/mine_too.py"
    frozen = open_project(open_project(root).snapshot(tmp_path / "frozen"))
    assert frozen.load_function("mine_too:f")() == f"{tmp_path}/frozen/mine_too.py"
