"""The form of a connection of the type ``modelyard``, as Airflow shows it without importing its hook."""

from typing import Any

__all__ = ["CONNECTION_TYPE", "FIELDS", "connection_type"]

CONNECTION_TYPE = "modelyard"
"""What Airflow calls connections of ours."""

_OPTIONAL_TEXT = {"type": ["string", "null"]}
FIELDS: dict[str, dict[str, Any]] = {
    "project": {
        "label": "Project",
        "description": "git+URL@ref#subfolder, or an absolute path on the workers.",
        "schema": _OPTIONAL_TEXT,
    },
    "environment": {
        "label": "Environment",
        "description": "The environment of modelyard.yaml.",
        "schema": _OPTIONAL_TEXT,
    },
    "python": {
        "label": "Interpreter of the work",
        "description": "The interpreter with modelyard[ml] on the workers.",
        "schema": _OPTIONAL_TEXT,
    },
    "tracking_uri": {
        "label": "Tracking URI",
        "description": "What modelyard.yaml means by ${MLFLOW_TRACKING_URI}.",
        "schema": _OPTIONAL_TEXT,
    },
    "deploy_target": {
        "label": "Deploy target",
        "description": "Where tasks deploy to that name no target.",
        "schema": _OPTIONAL_TEXT,
    },
    "secrets": {
        "label": "Secrets",
        "description": 'The project\'s secrets by name, as JSON: {"TOKEN": "…"}.',
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}
"""The extra fields of the form, by name."""


def connection_type() -> dict[str, Any]:
    """Return what the provider information says of the connection type: the form needs no import of ours."""
    return {
        "connection-type": CONNECTION_TYPE,
        "hook-class-name": "modelyard.airflow.hook.ModelyardHook",
        "hook-name": "modelyard",
        "ui-field-behaviour": {
            "hidden-fields": ["host", "port", "schema", "extra"],
            "relabeling": {"login": "Tracking user", "password": "Tracking password"},
            "placeholders": {},
        },
        "conn-fields": FIELDS,
    }
