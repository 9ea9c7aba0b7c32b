"""What docs/projects.md shows is true."""

import re
from pathlib import Path

from modelyard.projects.validation import read_project_file

PAGE = (Path(__file__).parents[2] / "docs/projects.md").read_text()


def test_every_file_on_the_page_is_a_good_one(tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    names = []
    for text in shown:
        (tmp_path / "modelyard.yaml").write_text(text)
        names.append(read_project_file(tmp_path / "modelyard.yaml").definition.name)

    assert names == ["flights", "flights"]


def test_the_largest_one_says_all_that_can_be_said(tmp_path: Path) -> None:
    from modelyard.projects import ProjectDefinition

    largest = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]

    assert [name for name in ProjectDefinition.__struct_fields__ if f"{name}:" not in largest] == []
