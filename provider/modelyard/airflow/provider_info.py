"""The provider information: which modules and classes of this distribution Airflow shall know."""

from typing import Any

from modelyard.airflow.connection_form import connection_type
from modelyard.airflow.operator_modules import OPERATOR_MODULES

__all__ = ["get_provider_info"]

_INTEGRATION = "modelyard"
_KFP = "Kubeflow Pipelines"
_TRIGGERS = ["modelyard.airflow.ready_trigger", "modelyard.airflow.work_trigger"]

_CONFIGURATION = {
    "description": "What the page on models in Airflow shows.",
    "options": {
        "connections": {
            "description": "Connections of the type modelyard to show besides those in Airflow's database, separated "
            "by commas: those in environment variables and other stores of secrets.",
            "version_added": "0.1.0",
            "type": "string",
            "example": "flights,wines",
            "default": "",
        },
        "projects": {
            "description": "Projects to show that no connection names, separated by commas, each in its first "
            "environment: paths on the API server, or git+URL@ref#subfolder.",
            "version_added": "0.1.0",
            "type": "string",
            "example": "/opt/projects/flights",
            "default": "",
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider information; the entry point ``apache_airflow_provider`` names this function.

    Every component of Airflow calls it when it starts: it imports nothing but this package.
    """
    return {
        "package-name": "modelyard",
        "name": "modelyard",
        "description": "Train, evaluate, register, promote, deploy and batch-score models of a git project, "
        "in any interpreter, with results that survive the worker.",
        "integrations": [
            {"integration-name": _INTEGRATION, "tags": ["software"]},
            {
                "integration-name": _KFP,
                "tags": ["service"],
                "external-doc-url": "https://www.kubeflow.org/docs/components/pipelines/",
            },
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["modelyard.operators.airflow.operation", *OPERATOR_MODULES],
            },
            {"integration-name": _INTEGRATION, "python-modules": ["modelyard.operators.airflow.approval"]},
            {"integration-name": _INTEGRATION, "python-modules": ["modelyard.operators.airflow.summary"]},
            {"integration-name": _KFP, "python-modules": ["modelyard.operators.airflow.pipeline_run"]},
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["modelyard.airflow.hook"]}],
        "triggers": [
            {"integration-name": _INTEGRATION, "python-modules": _TRIGGERS},
            {"integration-name": _KFP, "python-modules": ["modelyard.operators.airflow.pipeline_trigger"]},
        ],
        "sensors": [
            {"integration-name": _INTEGRATION, "python-modules": ["modelyard.operators.airflow.sensors"]},
            {"integration-name": _INTEGRATION, "python-modules": ["modelyard.operators.airflow.work_sensor"]},
            {"integration-name": _KFP, "python-modules": ["modelyard.operators.airflow.pipeline_sensor"]},
        ],
        "connection-types": [connection_type()],
        "task-decorators": [
            {"name": "modelyard", "class-name": "modelyard.operators.airflow.decorators.modelyard_task"}
        ],
        "asset-uris": [
            {
                "schemes": ["modelyard"],
                "handler": "modelyard.airflow.assets.sanitize_uri",
                "factory": "modelyard.airflow.assets.create_asset",
                "to_openlineage_converter": "modelyard.airflow.lineage.convert_asset_to_openlineage",
            }
        ],
        "notifications": ["modelyard.airflow.notifications.ModelyardNotifier"],
        "config": {"modelyard": _CONFIGURATION},
        "extra-links": [
            "modelyard.airflow.links.EndpointLink",
            "modelyard.airflow.links.ModelLink",
            "modelyard.airflow.links.RunLink",
            "modelyard.operators.airflow.pipeline_run.PipelineRunLink",
        ],
    }
