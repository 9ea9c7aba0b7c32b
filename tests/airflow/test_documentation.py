"""What the pages on connections and notifications show runs."""

import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from modelyard.airflow.notifications import ModelyardNotifier

DOCS = Path(__file__).parents[2] / "docs/airflow"


def _examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def test_the_dag_with_notifications_is_read(tmp_path: Path) -> None:
    (example,) = _examples("notifications.md")
    (tmp_path / "nightly.py").write_text(example)
    bag = DagBag(tmp_path)
    dag = bag.dags["nightly"]

    assert bag.import_errors == {}
    assert isinstance(dag.on_failure_callback, ModelyardNotifier)
    assert (dag.task_ids, dag.on_failure_callback.conn_id) == (["promote"], "ml-chat")


def test_the_hook_reads_a_connection_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = _examples("connections.md")
    (defined,) = re.findall(
        r"^export AIRFLOW_CONN_ML='(.*?)'$", (DOCS / "connections.md").read_text(), re.DOTALL | re.M
    )
    monkeypatch.setenv("AIRFLOW_CONN_ML", defined)
    space: dict[str, object] = {}
    exec(example, space)  # the page is ours

    assert space["environment_of"]("ml") == "prod"  # type: ignore[operator]


def test_every_page_is_named_on_the_first() -> None:
    named = set(re.findall(r"\]\(([a-z-]+)\.md\)", (DOCS / "index.md").read_text()))

    assert {each.stem for each in DOCS.glob("*.md")} - {"index"} == named
