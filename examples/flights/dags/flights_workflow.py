"""The workflow ``main`` of the project above this folder as a DAG: its steps, its parameters, its meaning."""

from modelyard.workflows import airflow_dag

dag = airflow_dag("..", dag_id="flights-workflow")
