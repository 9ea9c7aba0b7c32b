"""What must not happen in a pod, because it would end with it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.operators.kfp.errors import StateNotShared, TargetNotReachable
from modelyard.projects.environment import Environment
from modelyard.projects.folders import is_uri

__all__ = ["check_placement", "is_pod"]

_TARGETED = ("deploy", "undeploy", "rollback")


def is_pod(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in a pod: Kubernetes tells every container where its API is.

    Examples
    --------
    >>> is_pod({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}), is_pod({})
    (True, False)
    """
    return bool(variables.get("KUBERNETES_SERVICE_HOST"))


def check_placement(operation: str, parameters: Mapping[str, Any], environment: Environment) -> None:
    """Refuse work in a pod that would leave nothing behind.

    Parameters
    ----------
    operation
        The operation's name.
    parameters
        Its parameters.
    environment
        Where the work belongs.

    Raises
    ------
    StateNotShared
        Its state, or its tracking database, lies in the pod's own file system.
    TargetNotReachable
        It would deploy to the pod itself.
    """
    places = {"state": environment.state_uri, "tracking": environment.tracking.partition(":///")[2]}
    if not environment.tracking.startswith("sqlite"):
        del places["tracking"]
    for what, place in places.items():
        if not is_uri(place) and not _is_mounted(Path(place.partition("?")[0])):
            raise StateNotShared(environment.name, what, place)
    if operation in _TARGETED:
        target = parameters.get("target") or environment.deploy.get("target") or "local"
        if target == "local":
            raise TargetNotReachable(operation, environment.name)


def _is_mounted(place: Path) -> bool:
    """Whether a path lies on a volume, and not in the container's own layers."""
    existing = next(each for each in (place, *place.parents) if each.exists())
    for each in (existing.resolve(), *existing.resolve().parents):
        if os.path.ismount(each):
            return each != Path("/")
    return False
