"""Trains over sets of parameters, and scores partitions with the best model, each as mapped tasks with one summary."""

from airflow.sdk import DAG, Param

from modelyard.operators.airflow import CallOperator, PredictOperator, RegisterOperator
from modelyard.operators.airflow.summary import SummaryOperator, sweep

with DAG(
    "example_mapping",
    schedule=None,
    params={"folder": Param("/data/wine", type="string")},
    tags=["modelyard", "example"],
):
    data = CallOperator(
        task_id="data",
        function="write-data",
        parameters={"path": "{{ params.folder }}/wine.csv"},
    )

    # [START howto_sweep]
    tuned = sweep(
        "tune",
        training={"function": "classifier", "dataset": "{{ params.folder }}/wine.csv", "label_column": "grower"},
        parameter_sets=[{"trees": trees} for trees in (1, 20)],
        sort_by="metrics.accuracy",
        after=[data],
    )
    best = RegisterOperator(
        task_id="best",
        name="wine-best",
        model="{{ ti.xcom_pull(task_ids='tune', key='best')['result']['model'] }}",
    )
    tuned >> best
    # [END howto_sweep]

    # [START howto_partitions]
    predict = PredictOperator.partial(task_id="predict", model=best.output["model"]).expand_kwargs(
        [
            {"dataset": "{{ params.folder }}/wine.csv", "destination": f"{{{{ params.folder }}}}/scored/{partition}"}
            for partition in ("north", "south")
        ]
    )
    scored = SummaryOperator(
        task_id="scored",
        results=predict.output,
        labels=[{"partition": partition} for partition in ("north", "south")],
        columns=["rows", "rejected", "dataset"],
        trigger_rule="all_done",
    )
    # [END howto_partitions]
