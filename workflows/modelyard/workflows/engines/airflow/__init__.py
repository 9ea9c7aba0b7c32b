"""Workflows as Airflow DAGs: each step a task of our operators, each choice and loop what Airflow has for it."""

from modelyard.workflows.engines.airflow.dag import airflow_dag, airflow_group

__all__ = ["airflow_dag", "airflow_group"]
