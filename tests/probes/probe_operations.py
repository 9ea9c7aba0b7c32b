"""Operations that do little, to define workflows with."""

from typing import Any, Literal

import msgspec

from modelyard.operations import DatasetRef, ModelRef, OperationContext, operation


class PrepareResult(msgspec.Struct, frozen=True):
    """What was prepared.

    Attributes
    ----------
    value
        Anything.
    dataset
        A dataset.
    """

    value: dict[str, Any]
    dataset: DatasetRef


@operation(kind="prepare", side_effects="none")
def prepare(context: OperationContext, *, function: str = "", parameters: dict[str, Any] = {}) -> PrepareResult:  # noqa: B006
    """Prepare.

    Parameters
    ----------
    function
        Which function.
    parameters
        Its parameters.
    """
    return PrepareResult({"function": function, **parameters}, "data.parquet")


class FitResult(msgspec.Struct, frozen=True):
    """What was fitted.

    Attributes
    ----------
    model
        The model.
    metrics
        Its metrics.
    rows
        How many rows.
    columns
        Which columns.
    task
        Which task.
    """

    model: ModelRef
    metrics: dict[str, float]
    rows: int
    columns: list[str]
    task: Literal["classification", "regression"]


@operation(kind="fit_model", side_effects="tracking")
def fit_model(
    context: OperationContext,
    *,
    dataset: DatasetRef,
    columns: list[str] = [],  # noqa: B006
    share: float = 0.2,
    task: Literal["auto", "classification", "regression"] = "auto",
    settings: dict[str, Any] = {},  # noqa: B006
) -> FitResult:
    """Fit.

    Parameters
    ----------
    dataset
        The dataset.
    columns
        Its columns.
    share
        A share.
    task
        A task.
    settings
        Settings.
    """
    return FitResult("models:/m/1", {"auc": 0.7}, 10, columns, "classification")


CATALOGUE = {each.spec.name: each.spec for each in (prepare, fit_model)}
