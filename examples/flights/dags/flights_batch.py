"""Scores August whenever the champion changes: started by the asset that ``flights_reviewed`` updates."""

from airflow.sdk import DAG

from modelyard.airflow.assets import model_asset
from modelyard.operators.airflow import PredictOperator

with DAG(
    "flights_batch",
    schedule=[model_asset("flights-delay", alias="champion")],
    tags=["modelyard"],
    doc_md=__doc__,
):
    PredictOperator(
        task_id="predict",
        model="models:/flights-delay@champion",
        dataset="data/august.parquet",
        destination="output/batch",
        key_columns=["flight_id"],
    )
