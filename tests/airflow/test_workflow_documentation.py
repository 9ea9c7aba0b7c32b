"""The DAG files that docs/workflows/airflow.md shows are read without errors, beside the project of the main page."""

import re
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_dag_file_is_read(tmp_path: Path) -> None:
    project, dags = tmp_path / "late", tmp_path / "dags"
    (project / "late").mkdir(parents=True)
    dags.mkdir()
    (project / "late/__init__.py").touch()
    pages = [each for each in blocks(DOCS / "workflows.md", "python") if not each.startswith(">>>")]
    (project / "late/flows.py").write_text(pages[0] + "\n\n" + next(each for each in pages if "def months" in each))
    (project / "modelyard.yaml").write_text(
        "name: late\nworkflows: {main: late.flows:main, months: late.flows:months}\n"
    )
    for index, text in enumerate(blocks(DOCS / "workflows/airflow.md", "python")):
        (dags / f"example_{index}.py").write_text(text)
    bag = DagBag(dags)

    assert bag.import_errors == {}
    assert {name: list(dag.task_dict) for name, dag in bag.dags.items()} == {
        "late-main": ["prepare", "train", "good", "register", "evaluate", "promote", "deploy"],
        "late-months": ["each", "prepare", "each-2", "score", "month", "year"],
        "weekly": ["choose", *(f"score.{name}" for name in ("each", "prepare", "each-2", "score", "month", "year"))],
    }
    assert list(bag.dags["late-main"].params) == ["month", "alias"]
    assert list(bag.dags["late-months"].params) == []
    assert bag.dags["weekly"].task_dict["score.each"].upstream_task_ids == {"choose"}
