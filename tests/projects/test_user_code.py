"""What a project's code raises is told with the deepest line of the project."""

import os
from pathlib import Path

import pytest

from modelyard.projects.errors import UserFunctionFailed
from modelyard.projects.user_code import calling


def test_a_frame_that_has_no_file_is_no_line_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own modules may be called ``<frozen os>``, which must not be taken for a file of the present folder."""
    here = Path(__file__)
    monkeypatch.chdir(here.parent)
    with pytest.raises(UserFunctionFailed) as caught, calling("fit", here.parent):
        exec(compile("os.environ['NO_SUCH_VARIABLE']", "<frozen os>", "exec"), {"os": os})
    assert caught.value.where.startswith(f"{here.name}:")
