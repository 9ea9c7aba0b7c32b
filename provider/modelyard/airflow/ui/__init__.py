"""The pages that the plugin adds to Airflow: what projects hold, and what a task has made."""

from modelyard.airflow.ui.application import ConsoleApp

__all__ = ["ConsoleApp"]
