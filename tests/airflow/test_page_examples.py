"""The Python examples of the pages on operators, retries and lineage run as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from modelyard.airflow.retrying import KindRetryPolicy

PAGES = Path(__file__).parents[2] / "docs/airflow"


def _run(page: str) -> list[dict[str, Any]]:
    found = []
    for block in re.findall(r"^```python\n(.*?)^```$", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE):
        names: dict[str, Any] = {}
        exec(compile(block, page, "exec"), names)
        found.append(names)
    return found


def _dags(blocks: list[dict[str, Any]]) -> dict[str, DAG]:
    tasks = [each for block in blocks for each in block.values() if isinstance(each, BaseOperator)]
    return {each.dag.dag_id: each.dag for each in tasks}


def test_the_page_on_operators() -> None:
    dags = _dags(_run("operators.md"))

    assert list(dags["overnight"].task_dict) == ["start", "trained"]
    assert dags["overnight"].task_dict["trained"].upstream_task_ids == {"start"}


def test_the_page_on_retries() -> None:
    presets, own = _run("retries.md")
    policy = own["policy"]

    assert {"code_retries", "infrastructure_retries"} <= set(presets)
    assert isinstance(policy, KindRetryPolicy)
    assert [str(kind) for kind in policy.delays] == ["unavailable", "conflict", "lost"]


def test_the_page_on_lineage() -> None:
    (block,) = _run("lineage.md")

    class Context:
        def __init__(self) -> None:
            self.noted: list[Any] = []

        def note_dataset(self, role: str, source: dict[str, Any]) -> None:
            self.noted.append((role, source["uri"]))

    context = Context()
    block["join"](context, 7)
    assert context.noted == [("input", "s3://lake/flights"), ("output", "s3://lake/joined")]


@pytest.mark.parametrize(
    ("page", "kind", "column"),
    [("retries.md", "conflict", "fails at once"), ("retries.md", "lost", "again at once")],
)
def test_the_table_of_kinds_says_what_the_presets_do(page: str, kind: str, column: str) -> None:
    rows = [line.split(" | ") for line in (PAGES / page).read_text().splitlines() if line.startswith("| `")]
    (row,) = [each for each in rows if each[0] == f"| `{kind}`"]

    assert len(rows) == 12
    assert row[3] == column
