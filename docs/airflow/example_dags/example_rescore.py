"""Scores a dataset anew whenever another version of the model has become the champion."""

from airflow.sdk import DAG

from modelyard.airflow.assets import dataset_asset, model_asset
from modelyard.operators.airflow import PredictOperator

# [START howto_asset_schedule]
with DAG(
    "example_rescore",
    schedule=[model_asset("wine-grower", alias="champion")],
    is_paused_upon_creation=False,
    tags=["modelyard", "example"],
):
    PredictOperator(
        task_id="predict",
        model="{{ (triggering_asset_events.values() | first | last).extra.model }}",
        dataset="wine.csv",
        destination="rescored/{{ run_id }}",
        outlets=[dataset_asset("wines/rescored")],
    )
# [END howto_asset_schedule]
