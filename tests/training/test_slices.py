import numpy as np
import pytest

from modelyard.training.outcomes import Classified, Regressed
from modelyard.training.slices import slice_by


def right_and_wrong() -> Regressed:
    return Regressed(np.array([0.0, 0.0, 0.0, 10.0]), np.array([0.0, 1.0, 3.0, 10.0]))


def test_text_is_sliced_by_value_the_largest_first() -> None:
    table = slice_by("carrier", np.array(["UA", "B6", "B6", "B6"]), right_and_wrong())
    assert [(each.value, each.rows, each.share) for each in table.slices] == [("B6", 3, 0.75), ("UA", 1, 0.25)]
    assert table.slices[0].metrics["mae"] == pytest.approx(4 / 3)
    assert table.slices[1].metrics["mae"] == 0
    assert table.slices[0].level == pytest.approx(10 / 3)
    assert table.slices[0].baseline_metrics == {}


def test_the_baseline_is_measured_on_the_same_rows() -> None:
    rows = right_and_wrong()
    table = slice_by("x", np.array([True, True, False, False]), rows, Regressed(rows.truth, rows.truth))
    assert [each.value for each in table.slices] == ["false", "true"]
    assert [each.baseline_metrics["mae"] for each in table.slices] == [0, 0]


def test_missing_values_are_a_slice_of_their_own() -> None:
    for values in (np.array(["a", None, "a", None], dtype=object), np.array([1.0, np.nan, 1.0, np.nan])):
        table = slice_by("x", values, right_and_wrong())
        assert [(each.value, each.rows) for each in table.slices][-1] == ("missing", 2)
        assert sum(each.rows for each in table.slices) == 4


def test_numbers_with_many_values_are_cut_into_ranges() -> None:
    values = np.arange(100.0)
    table = slice_by("age", values, Regressed(values, values))
    assert [each.value for each in table.slices] == [
        "0 to under 20",
        "20 to under 40",
        "40 to under 60",
        "60 to under 80",
        "80 to 99",
    ]
    assert [each.rows for each in table.slices] == [20] * 5


def test_a_skewed_number_loses_no_row() -> None:
    values = np.concatenate([np.zeros(90), np.arange(1, 31)])
    table = slice_by("rain", values, Regressed(values, values))
    assert sum(each.rows for each in table.slices) == 120
    assert len({each.value for each in table.slices}) == len(table.slices)


def test_times_are_cut_into_ranges() -> None:
    values = np.datetime64("2013-07-01") + np.arange(30) * np.timedelta64(1, "D")
    table = slice_by("day", values.astype("datetime64[us]"), Regressed(np.ones(30), np.ones(30)))
    assert table.slices[0].value == "2013-07-01 to under 2013-07-07"
    assert table.slices[-1].value == "2013-07-25 to 2013-07-30"


def test_numbers_with_few_values_are_in_order() -> None:
    table = slice_by("hour", np.array([10, 2, 2, 1]), right_and_wrong())
    assert [each.value for each in table.slices] == ["1", "2", "10"]


def test_rare_values_are_gathered() -> None:
    values = np.array([f"v{index % 20:02}" for index in range(50)])
    table = slice_by("x", values, Regressed(np.ones(50), np.ones(50)))
    assert len(table.slices) == 15
    assert (table.slices[-1].value, table.slices[-1].rows) == ("other (6 values)", 12)


def test_a_slice_of_one_class_has_no_area() -> None:
    truth = np.array([0, 1, 1, 1])
    rows = Classified(truth, truth, np.eye(2)[truth], (False, True))
    table = slice_by("x", np.array(["a", "a", "b", "b"]), rows)
    assert table.slices[0].metrics["roc_auc"] == 1
    assert "roc_auc" not in table.slices[1].metrics
    assert table.slices[1].level == 1


def test_large_numbers_that_differ_in_a_late_digit_stay_apart() -> None:
    values = np.array([1_000_001.0, 1_000_002.0, 1_000_001.0, np.nan])
    outcomes = Regressed(np.zeros(4), np.array([1.0, 2.0, 1.0, 3.0]))

    table = slice_by("code", values, outcomes)

    assert [(each.value, each.rows) for each in table.slices] == [("1000001", 2), ("1000002", 1), ("missing", 1)]
    assert [each.metrics["mae"] for each in table.slices] == [1.0, 2.0, 3.0]
