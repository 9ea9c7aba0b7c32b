"""The ready workflow for batch scoring."""

from typing import Any

from modelyard.operations import ModelRef
from modelyard.workflows import collect, each, steps, workflow

__all__ = ["batch_predict"]


@workflow
def batch_predict(
    model: ModelRef,
    partitions: list[dict[str, str]],
    key_columns: list[str] = [],  # noqa: B006 - read only
    reject_threshold: float = 0.0,
) -> dict[str, Any]:
    """Score many datasets with one model, each on its own, and sum up.

    Parameters
    ----------
    model
        The model that scores, such as ``models:/delays@champion``.
    partitions
        What to score and where to: a list of ``{"dataset": …, "destination": …}``.
    key_columns
        The columns that identify a row.
    reject_threshold
        The share of rows of a partition, from 0 to 1, that may be bad.
    """
    with each(partitions, name="partitions") as partition:
        scored = steps(name="predict").predict(
            model=model,
            dataset=partition["dataset"],
            destination=partition["destination"],
            key_columns=key_columns,
            reject_threshold=reject_threshold,
        )
    summary = steps(name="summary").call(
        function="modelyard.workflows.library.choosing:prediction_summary",
        parameters={
            "rows": collect(scored.rows),
            "rejected": collect(scored.rejected),
            "destinations": collect(scored.dataset),
        },
    )
    return {"rows": summary.value["rows"], "rejected": summary.value["rejected"]}
