"""Ready pipelines: compile them as they are, or take them as examples."""

from collections.abc import Callable
from typing import Any, cast

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from modelyard.operators.kfp.components import Components

__all__ = ["batch_predict", "train_register_deploy"]


def train_register_deploy(components: Components) -> BaseComponent:
    """Return the pipeline that trains, judges beside the champion, promotes behind gates, and deploys.

    Parameters
    ----------
    components
        What it is made of.
    """

    def pipeline(
        function: str,
        dataset: str,
        test_dataset: str,
        label_column: str,
        name: str,
        graph: str = "",
        parameters: dict[str, Any] = {},
        gates: list[Any] = [],
        deploy: bool = False,
    ) -> str:
        trained = components(title="Train").train(
            function=function, dataset=dataset, label_column=label_column, parameters=parameters
        )
        version = components(title="Register").register(model=trained.outputs["model_artifact"], name=name)
        judged = components(title="Judge").evaluate(model=version.outputs["model_artifact"], dataset=test_dataset)
        champion = components(title="Promote").promote(
            model=version.outputs["model"], evaluation=judged.outputs["evaluation"], gates=gates
        )
        with dsl.If(deploy == True):  # noqa: E712 - makes a condition of KFP's
            components(title="Deploy", after=[champion]).deploy(graph=graph)
        result: Any = champion.outputs["result"]
        return cast("str", result)

    return _pipeline(pipeline, "train-register-deploy")


def batch_predict(components: Components) -> BaseComponent:
    """Return the pipeline that scores many datasets with one model, side by side.

    Its parameter ``batches`` has a mapping with ``dataset`` and ``destination`` for each.

    Parameters
    ----------
    components
        What it is made of.
    """

    def pipeline(model: str, batches: list[dict[str, str]], key_columns: list[Any] = []) -> None:
        loop: Any = dsl.ParallelFor
        with loop(batches, parallelism=4) as batch:
            components(title="Score").predict(
                model=model, dataset=batch.dataset, destination=batch.destination, key_columns=key_columns
            )

    return _pipeline(pipeline, "batch-predict")


def _pipeline(function: Callable[..., Any], name: str) -> BaseComponent:
    made: Any = dsl.pipeline(function, name=name)
    component: BaseComponent = made
    return component
