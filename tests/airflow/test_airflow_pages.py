"""The DAG files that the pages on approval, the DAG factory and bundles show are read without errors."""

import re
import shutil
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

REPOSITORY = Path(__file__).parents[2]
PAGES = {
    "approval": {
        "review": ["evaluate", "promote", "deploy"],
        "flights-approved": ["prepare", "train", "register", "evaluate", "promote", "deploy", "predict"],
    },
    "dag-factory": {
        "flights-main": ["prepare", "train", "register", "evaluate", "promote", "deploy", "predict"],
        "flights-score": ["partitions", "predict", "summary"],
    },
    "bundles": {
        "flights-of-the-bundle": ["prepare", "train", "register", "evaluate", "promote", "deploy", "predict"],
        "bundle_of_tasks": ["prepare"],
    },
}


@pytest.mark.parametrize("page", PAGES)
def test_every_dag_file_is_read(page: str, tmp_path: Path) -> None:
    kept_out = shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__", "dags")
    project = tmp_path / ("projects/flights" if page == "bundles" else "flights")
    shutil.copytree(REPOSITORY / "examples/flights", project, ignore=kept_out)
    dags = tmp_path / "dags"
    dags.mkdir()
    text = (REPOSITORY / f"docs/airflow/{page}.md").read_text()
    for index, block in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)):
        (dags / f"example_{index}.py").write_text(block)
    bag = DagBag(dags)

    assert bag.import_errors == {}
    assert {name: list(dag.task_dict) for name, dag in bag.dags.items()} == PAGES[page]
