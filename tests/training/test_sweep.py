"""Sweeps in one job: a table of all sets, and only what is missing when the job is started again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.data import DatasetNotFound
from modelyard.operations import OperationContext
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.summaries import summary_of
from modelyard.projects import open_project
from modelyard.tracking import Tracking
from modelyard.training.sweep import HANDLER, sweep

MakeContext = Callable[..., OperationContext]
TRAINING: dict[str, Any] = {"function": "late", "dataset": "data/train.parquet", "label_column": "late"}
SETS = [{"C": 0.0001}, {"C": 1.0}]


def _runs(tracking: Tracking) -> dict[str, str]:
    experiments = [each.experiment_id for each in tracking.client.search_experiments()]
    return {each.data.tags["modelyard.key"]: each.info.run_id for each in tracking.client.search_runs(experiments)}


def test_each_set_has_a_run_and_a_row_and_a_second_start_finds_them(
    new_context: MakeContext, tracking: Tracking, shop: Path
) -> None:
    given = {**TRAINING, "feature_columns": ["wind", "rain", "gates"]}
    first = sweep(new_context("job"), given, SETS, "metrics.log_loss", descending=False)
    runs = _runs(tracking)
    again = sweep(new_context("job"), given, [*SETS, {"C": 10.0}], "metrics.log_loss", descending=False)

    assert set(runs) == {"job#0", "job#1"}
    assert first["count"] == 2
    assert [row["C"] for row in first["rows"]] == [1.0, 0.0001]
    assert first["best"]["result"]["run_id"] == runs["job#1"]
    assert first["best"]["metrics.log_loss"] < first["rows"][1]["metrics.log_loss"]
    assert {row["index"]: row["run_id"] for row in again["rows"]} == {
        0: runs["job#0"],
        1: runs["job#1"],
        2: _runs(tracking)["job#2"],
    }


def test_a_set_that_fails_fails_the_job(new_context: MakeContext, shop: Path) -> None:
    with pytest.raises(DatasetNotFound):
        sweep(new_context("job"), {**TRAINING, "dataset": "data/absent.parquet"}, SETS)


def test_the_operation_call_finds_it(shop: Path) -> None:
    assert open_project(shop).load_function(HANDLER) is sweep
    assert "call" in load_catalogue()


def test_rows_without_a_number_come_last_and_long_tables_are_cut() -> None:
    found = summary_of(
        [{"auc": 0.5}, {"note": "a|b\nc"}, {"auc": float("nan")}, {"auc": 0.9}], sort_by="auc", descending=True, rows=3
    )

    assert (found["count"], [row["index"] for row in found["rows"]]) == (4, [3, 0, 1])
    assert found["table"].splitlines()[-1] == "| 1 |  | a\\|b c |"
    assert summary_of([]) == {"count": 0, "rows": [], "best": None, "table": ""}
