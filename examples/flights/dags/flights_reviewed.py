"""The flights workflow with people before the promotion: Airflow shows champion and challenger, and waits.

The long tasks wait in Airflow's triggerer and hold no worker, which asks for Airflow on one machine. When the champion
changes, the DAG ``flights_batch`` scores August with it.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from modelyard.airflow.assets import model_asset
from modelyard.operators.airflow import CallOperator, EvaluateOperator, RegisterOperator, TrainOperator
from modelyard.operators.airflow.approval import ApprovedPromoteOperator

DATA = "ti.xcom_pull('prepare', key='value')"

with DAG(
    "flights_reviewed",
    schedule=None,
    params={
        "every": Param(1, type="integer", minimum=1, description="Take each so many-th flight only."),
        "trees": Param(200, type="integer", minimum=1, description="How many trees the model has."),
    },
    default_args={"same_host": True, "retries": 1, "retry_delay": timedelta(seconds=10)},
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
        deferrable=True,
    )

    register = RegisterOperator(task_id="register", model=train.output["model"], name="flights-delay")

    evaluate = EvaluateOperator(
        task_id="evaluate",
        model=register.output["model"],
        dataset=f"{{{{ {DATA}['july'] }}}}",
        metrics=["caught-in-top-tenth"],
        deferrable=True,
    )

    promote = ApprovedPromoteOperator(
        task_id="promote",
        model=register.output["model"],
        evaluation=evaluate.output["evaluation"],
        gates=["roc_auc >= 0.6", "roc_auc >= champion - 0.005"],
        body="Look at the carriers in the report first.",
        outlets=[model_asset("flights-delay", alias="champion")],
    )

    prepare >> train
