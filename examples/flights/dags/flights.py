"""The flights workflow as an Airflow DAG: each task is an operation, and the work runs outside of Airflow.

The project is the folder above this file. Set MODELYARD_PYTHON to an interpreter with ``modelyard[ml,serving]``, if
Airflow's own has none of them.
"""

from airflow.sdk import DAG, Param

from modelyard.operators.airflow import (
    CallOperator,
    DeployOperator,
    EvaluateOperator,
    PredictOperator,
    PromoteOperator,
    RegisterOperator,
    TrainOperator,
)

DATA = "ti.xcom_pull('prepare', key='value')"

with DAG(
    "flights",
    schedule=None,
    params={
        "every": Param(1, type="integer", minimum=1, description="Take each so many-th flight only."),
        "trees": Param(200, type="integer", minimum=1, description="How many trees the model has."),
    },
    tags=["modelyard"],
    doc_md=__doc__,
):
    prepare = CallOperator(task_id="prepare", function="prepare", parameters={"every": "{{ params.every }}"})

    train = TrainOperator(
        task_id="train",
        function="delay-trainer",
        dataset=f"{{{{ {DATA}['train'] }}}}",
        validation_dataset=f"{{{{ {DATA}['july'] }}}}",
        label_column="late",
        feature_columns=f"{{{{ {DATA}['features'] }}}}",
        parameters={"max_iter": "{{ params.trees }}"},
    )

    register = RegisterOperator(
        task_id="register",
        model=train.output["model"],
        name="flights-delay",
        description="Late by more than 15 minutes, or not.",
    )

    evaluate = EvaluateOperator(
        task_id="evaluate",
        model=register.output["model"],
        dataset=f"{{{{ {DATA}['july'] }}}}",
        slices=["carrier", "origin", "weekday", "departure_minute", "precipitation", "airport_late_share"],
        metrics=["caught-in-top-tenth"],
    )

    promote = PromoteOperator(
        task_id="promote",
        model=register.output["model"],
        evaluation=evaluate.output["evaluation"],
        gates=["roc_auc >= 0.7", "roc_auc >= champion - 0.005"],
    )

    deploy = DeployOperator(task_id="deploy", graph="delays", models={"model": promote.output["model"]})

    predict = PredictOperator(
        task_id="predict",
        model=promote.output["model"],
        dataset=f"{{{{ {DATA}['august'] }}}}",
        destination="output/august",
        key_columns=["flight_id"],
    )

    prepare >> train
