"""What Airflow is told about this provider."""

from modelyard.airflow.provider_info import get_provider_info

__all__ = ["get_provider_info"]
