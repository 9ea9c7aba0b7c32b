"""The settings of Airflow come first: see `airflow_home`."""

import pytest
from airflow_home import database, project, runs, traces

__all__ = ["database", "project", "runs", "traces"]


def pytest_configure(config: pytest.Config) -> None:
    # Airflow's own: its in-process API uses starlette's test client on the httpx that it installs itself.
    config.addinivalue_line("filterwarnings", "ignore:Using `httpx` with `starlette.testclient`:DeprecationWarning")
