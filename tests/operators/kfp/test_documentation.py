"""Every example of the pages about KFP runs, in the order of its page."""

import re
from pathlib import Path
from typing import Any

import pytest
from kfp_release import needs_local_runner

DOCS = Path(__file__).parents[3] / "docs/kfp"


def _blocks(page: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"(?<!-->\n)```python\n(.*?)```", text, re.DOTALL)


@needs_local_runner
@pytest.mark.parametrize(("page", "examples"), [("components.md", 8), ("workflows.md", 1), ("api.md", 1)])
@pytest.mark.filterwarnings("ignore:Task .* have no effect in the current local runner")
def test_the_examples_run(page: str, examples: int, tmp_path: Path, local_runner: Path) -> None:
    project = tmp_path / "greetings"
    project.mkdir()
    (project / "modelyard.yaml").write_text("name: greetings\n")
    (project / "greeting.py").write_text(_blocks("components.md")[0])
    space: dict[str, Any] = {"PROJECT": str(project), "FOLDER": tmp_path, "__name__": "page"}
    blocks = _blocks(page)
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}[{number}]", "exec"), space)

    assert len(blocks) == examples
    if page == "components.md":
        files = [file.read_text() for file in tmp_path.rglob("call*/executor_output.json")]
        assert len(files) == 5
        assert sum('\\"limits\\": [1, null, 1180591620717411303424]' in each for each in files) == 1
        assert {"greetings.yaml", "manifests.yaml"} <= {each.name for each in tmp_path.iterdir()}
