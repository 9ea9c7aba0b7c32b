"""Trains on a dataset, registers and promotes the model behind a gate, deploys it, and scores a dataset with it."""

from airflow.sdk import DAG, Param

from modelyard.operators.airflow import (
    CallOperator,
    DeployOperator,
    EvaluateOperator,
    PredictOperator,
    PromoteOperator,
    RegisterOperator,
    TrainOperator,
    UndeployOperator,
)
from modelyard.operators.airflow.sensors import EndpointReadySensor

with DAG(
    "example_wine",
    schedule=None,
    params={"folder": Param("/data/wine", type="string"), "trees": Param(50, type="integer")},
    default_args={"retries": 1},
    tags=["modelyard", "example"],
):
    # [START howto_operator_call]
    data = CallOperator(
        task_id="data",
        function="write-data",
        parameters={"path": "{{ params.folder }}/wine.csv"},
    )
    # [END howto_operator_call]

    # [START howto_operator_train]
    train = TrainOperator(
        task_id="train",
        function="classifier",
        dataset="{{ params.folder }}/wine.csv",
        label_column="grower",
        holdout=0.25,
        parameters={"trees": "{{ params.trees }}"},
    )
    # [END howto_operator_train]

    # [START howto_operator_register]
    register = RegisterOperator(
        task_id="register",
        model=train.output["model"],
        name="wine-grower",
        tags={"dag_run": "{{ run_id }}"},
    )
    # [END howto_operator_register]

    # [START howto_operator_evaluate]
    evaluate = EvaluateOperator(
        task_id="evaluate",
        model=register.output["model"],
        dataset="{{ params.folder }}/wine.csv",
        slices=["hue"],
    )
    # [END howto_operator_evaluate]

    # [START howto_operator_promote]
    promote = PromoteOperator(
        task_id="promote",
        model=register.output["model"],
        evaluation=evaluate.output["evaluation"],
        gates=["accuracy >= 0.8", "accuracy >= champion - 0.02"],
    )
    # [END howto_operator_promote]

    # [START howto_operator_deploy]
    deploy = DeployOperator(task_id="deploy", graph="wines", endpoint="wines")
    # [END howto_operator_deploy]

    # [START howto_sensor_endpoint_ready]
    ready = EndpointReadySensor(
        task_id="ready",
        endpoint=deploy.output["endpoint"],
        revision=deploy.output["revision"],
        poke_interval=1,
        timeout=60,
    )
    # [END howto_sensor_endpoint_ready]

    # [START howto_operator_predict_mapped]
    predict = PredictOperator.partial(
        task_id="predict",
        model=promote.output["model"],
        dataset="{{ params.folder }}/wine.csv",
    ).expand(destination=["{{ params.folder }}/scored-a", "{{ params.folder }}/scored-b"])
    # [END howto_operator_predict_mapped]

    # [START howto_operator_undeploy]
    undeploy = UndeployOperator(task_id="undeploy", endpoint=deploy.output["endpoint"], trigger_rule="all_done")
    # [END howto_operator_undeploy]

    data >> train
    promote >> deploy >> ready >> undeploy
