import sys
from pathlib import Path

import pytest

from modelyard.deploy import ServingEnvironmentInvalid
from modelyard.deploy.requirements import locked_requirements, serving_python

TELLS = """#!/bin/sh
echo '{"version": [3, %d, 0], "missing": %s, "installed": [["B_x", "2"], ["a", "1"], ["a", "1"]]}'
"""


def script(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_running_environment_is_listed_by_name() -> None:
    lines = locked_requirements(sys.executable)
    assert lines == tuple(sorted(lines))
    assert any(line.startswith("uvicorn==") for line in lines)
    assert any(line.startswith("modelyard==") for line in lines)


def test_another_environment_tells_by_itself(tmp_path: Path) -> None:
    assert locked_requirements(script(tmp_path, TELLS % (12, "[]"))) == ("a==1", "b-x==2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TELLS % (10, "[]"), r"it is Python 3\.10\.0\. Use Python 3\.11 or newer"),
        (TELLS % (12, '["uvicorn", "orjson"]'), r"it lacks uvicorn, orjson\. Install it there: pip install"),
        ("#!/bin/sh\necho 'Segmentation fault' >&2; exit 3\n", "it does not run: Segmentation fault"),
        ("#!/bin/sh\necho hello\n", "it is no usable Python"),
        ("not a program", "it is no usable Python"),
    ],
)
def test_an_environment_that_cannot_serve_is_refused(tmp_path: Path, text: str, message: str) -> None:
    python = script(tmp_path, text)
    with pytest.raises(ServingEnvironmentInvalid, match=f"deploy.python {python}: {message}"):
        locked_requirements(python)


def test_an_interpreter_is_named_by_path_or_command(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    python = script(tmp_path / "venv", "")
    assert serving_python("", tmp_path) == sys.executable
    assert serving_python("venv/python", tmp_path) == python
    assert serving_python(python, Path("/")) == python
    assert Path(serving_python("sh", tmp_path)).name == "sh"
    with pytest.raises(ServingEnvironmentInvalid, match=r"deploy\.python no-such-python: there is no such interpreter"):
        serving_python("no-such-python", tmp_path)
    with pytest.raises(ServingEnvironmentInvalid):
        serving_python("./venv", tmp_path)
