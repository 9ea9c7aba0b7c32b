"""The ready workflows that train."""

from typing import Any

from modelyard.operations import DatasetRef
from modelyard.workflows import collect, each, include, steps, when, workflow

__all__ = ["train_register_deploy", "tune_then_train"]


@workflow
def train_register_deploy(  # noqa: PLR0913, PLR0917 - a workflow takes what its steps take
    function: str,
    dataset: DatasetRef,
    test_dataset: DatasetRef,
    label_column: str,
    model_name: str,
    validation_dataset: DatasetRef | None = None,
    feature_columns: list[str] = [],  # noqa: B006 - read only
    holdout: float = 0.2,
    parameters: dict[str, Any] = {},  # noqa: B006
    description: str = "",
    slices: list[str] = [],  # noqa: B006
    metrics: list[str] = [],  # noqa: B006
    gates: list[str] = [],  # noqa: B006
    alias: str = "champion",
    graph: str = "",
    models: dict[str, str] = {},  # noqa: B006
) -> dict[str, Any]:
    """Train a model, measure it beside the champion, put it into the champion's place if the gates hold, and serve it.

    Parameters
    ----------
    function
        The training function: its name in modelyard.yaml.
    dataset
        The rows to train on.
    test_dataset
        The rows to judge by.
    label_column
        The column to predict.
    model_name
        The name to register the model under.
    validation_dataset
        The rows to measure on while training, instead of held-out ones.
    feature_columns
        The columns to predict from; all others if empty.
    holdout
        The share of the rows to hold out from training.
    parameters
        What the training function gets.
    description
        What is to be said about the version.
    slices
        Columns by whose values the metrics are split.
    metrics
        Metric functions of the project.
    gates
        What must hold, such as ``roc_auc >= champion - 0.005``.
    alias
        The alias to move; also what the model is compared with.
    graph
        The graph to deploy; none if empty.
    models
        Model references for the graph's model steps, by step name.
    """
    trained = steps(name="train").train(
        function=function,
        dataset=dataset,
        validation_dataset=validation_dataset,
        label_column=label_column,
        feature_columns=feature_columns,
        holdout=holdout,
        parameters=parameters,
    )
    version = steps(name="register").register(model=trained.model, name=model_name, description=description)
    judged = steps(name="evaluate").evaluate(
        model=version.model, dataset=test_dataset, baseline=alias, slices=slices, metrics=metrics
    )
    promoted = steps(name="promote").promote(
        model=version.model, evaluation=judged.evaluation, gates=gates, alias=alias
    )
    with when(graph != "", name="served"):
        deployed = steps(name="deploy", after=promoted).deploy(graph=graph, models=models)
    return {
        "model": promoted.model,
        "metrics": judged.metrics,
        "report": judged.report,
        "url": deployed.url.or_else(""),
    }


@workflow
def tune_then_train(  # noqa: PLR0913, PLR0917
    function: str,
    dataset: DatasetRef,
    test_dataset: DatasetRef,
    label_column: str,
    model_name: str,
    parameter_sets: list[dict[str, Any]],
    metric: str = "roc_auc",
    greater_is_better: bool = True,
    validation_dataset: DatasetRef | None = None,
    feature_columns: list[str] = [],  # noqa: B006 - read only
    holdout: float = 0.2,
    gates: list[str] = [],  # noqa: B006
    alias: str = "champion",
    graph: str = "",
) -> dict[str, Any]:
    """Try parameter sets side by side, train with the best of them, and go on as `train_register_deploy` does.

    Parameters
    ----------
    function
        The training function: its name in modelyard.yaml.
    dataset
        The rows to train on.
    test_dataset
        The rows to judge the final model by; no trial sees them.
    label_column
        The column to predict.
    model_name
        The name to register the model under.
    parameter_sets
        What the training function gets, one mapping for each trial.
    metric
        The metric to choose by.
    greater_is_better
        Whether the greatest value wins, rather than the smallest.
    validation_dataset
        The rows to measure trials on, instead of held-out ones.
    feature_columns
        The columns to predict from; all others if empty.
    holdout
        The share of the rows to hold out for measuring.
    gates
        What must hold, such as ``roc_auc >= champion - 0.005``.
    alias
        The alias to move; also what the model is compared with.
    graph
        The graph to deploy; none if empty.
    """
    with each(parameter_sets, name="trials") as trial:
        tried = steps(name="try").train(
            function=function,
            dataset=dataset,
            validation_dataset=validation_dataset,
            label_column=label_column,
            feature_columns=feature_columns,
            holdout=holdout,
            parameters=trial,
            tags={"trial": "yes"},
        )
    best = steps(name="choose").call(
        function="modelyard.workflows.library.choosing:best_trial",
        parameters={
            "trials": parameter_sets,
            "metrics": collect(tried.metrics),
            "metric": metric,
            "greater_is_better": greater_is_better,
        },
    )
    final = include(
        train_register_deploy,
        {
            "function": function,
            "dataset": dataset,
            "test_dataset": test_dataset,
            "label_column": label_column,
            "model_name": model_name,
            "validation_dataset": validation_dataset,
            "feature_columns": feature_columns,
            "holdout": holdout,
            "parameters": best.value["parameters"],
            "gates": gates,
            "alias": alias,
            "graph": graph,
        },
        name="final",
    )
    return {**final, "parameters": best.value["parameters"]}
