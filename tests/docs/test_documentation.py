"""The documentation builds without a warning, and every page can be reached."""

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path]
    built = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stderr
    pages = {str(page.relative_to(DOCS).with_suffix(".html")) for page in DOCS.rglob("*.md")}
    assert pages - {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.html")} == set()
