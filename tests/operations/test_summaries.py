"""Tables of many results."""

from modelyard.operations.summaries import summary_of


def test_labels_may_be_texts() -> None:
    found = summary_of([{"auc": 0.7}, {"auc": 0.9}], labels=["north", "south"], sort_by="auc")

    assert found["rows"] == [{"index": 1, "label": "south", "auc": 0.9}, {"index": 0, "label": "north", "auc": 0.7}]
    assert found["table"].splitlines()[0] == "| index | label | auc |"


def test_rows_without_a_number_come_last() -> None:
    found = summary_of([{"auc": float("nan")}, {}, {"auc": -1.0}], sort_by="auc")

    assert [row["index"] for row in found["rows"]] == [2, 0, 1]
