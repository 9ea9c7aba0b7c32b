"""What is done with the flights: the whole way from data to served predictions, written once."""

from typing import Any

from modelyard.workflows import include, steps, workflow
from modelyard.workflows.library import tune_then_train

MODEL = "flights-delay"
SLICES = ["carrier", "origin", "weekday", "departure_minute", "precipitation", "airport_late_share"]
SIZES = [{"max_iter": 100}, {"max_iter": 200}, {"max_iter": 400}]
GATES = ["roc_auc >= 0.7", "roc_auc >= champion - 0.005"]


@workflow
def main(every: int = 1, trees: int = 200) -> None:
    """Train on January to June, judge on July, serve the champion, and score August.

    Parameters
    ----------
    every
        Take each so many-th flight only: 1 for all.
    trees
        How many trees the model has.
    """
    data = steps(name="prepare").call(function="prepare", parameters={"every": every})
    trained = steps.train(
        function="delay-trainer",
        dataset=data.value["train"],
        validation_dataset=data.value["july"],
        label_column="late",
        feature_columns=data.value["features"],
        parameters={"max_iter": trees},
    )
    version = steps.register(model=trained.model, name=MODEL, description="Late by more than 15 minutes, or not.")
    judged = steps.evaluate(
        model=version.model, dataset=data.value["july"], slices=SLICES, metrics=["caught-in-top-tenth"]
    )
    champion = steps.promote(model=version.model, evaluation=judged.evaluation, gates=GATES)
    steps.deploy(graph="delays", models={"model": champion.model})
    steps.predict(
        model=champion.model, dataset=data.value["august"], destination="output/august", key_columns=["flight_id"]
    )


@workflow
def tune(every: int = 1, sizes: list[dict[str, Any]] = SIZES) -> None:
    """Try models of several sizes side by side, measured on July; serve the best if it is no worse than the champion.

    Parameters
    ----------
    every
        Take each so many-th flight only: 1 for all.
    sizes
        What the training function gets, one mapping for each trial.
    """
    data = steps(name="prepare").call(function="prepare", parameters={"every": every})
    include(
        tune_then_train,
        {
            "function": "delay-trainer",
            "dataset": data.value["train"],
            "validation_dataset": data.value["july"],
            "test_dataset": data.value["july"],
            "label_column": "late",
            "feature_columns": data.value["features"],
            "model_name": MODEL,
            "parameter_sets": sizes,
            "gates": GATES,
            "graph": "delays",
        },
        name="delays",
    )
