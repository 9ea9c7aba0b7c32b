"""The operation ``undeploy``."""

import msgspec

from modelyard.deploy.endpoints import list_endpoints
from modelyard.deploy.targets import find_target
from modelyard.errors import near_name
from modelyard.operations import OperationContext, operation
from modelyard.projects import open_project

__all__ = ["UndeployResult", "undeploy"]

TIMEOUT = 30.0


class UndeployResult(msgspec.Struct, frozen=True):
    """What became of an endpoint.

    Attributes
    ----------
    endpoint : str
        The endpoint's name.
    removed : bool
        Whether there was one.
    """

    endpoint: str
    removed: bool


@operation(kind="undeploy", side_effects="deployment")
def undeploy(context: OperationContext, *, endpoint: str, target: str = "") -> UndeployResult:
    """End an endpoint, and leave nothing of it: no process, no file.

    Requests under way are finished first. An endpoint that is not there is no error, so that a retry succeeds.

    Parameters
    ----------
    endpoint
        The endpoint's name.
    target
        The kind of place that it runs at; by default what the environment says.

    Examples
    --------
    $ modelyard undeploy --endpoint delays
    """
    project = open_project(context.project)
    environment = project.environment(context.environment)
    place = find_target(target or str(environment.deploy.get("target") or "local"))
    removed = place.undeploy(endpoint, environment.state, TIMEOUT)
    if not removed:
        known = [each.name for each in list_endpoints(environment.state)]
        context.log.warning("there was no endpoint %r. %s", endpoint, near_name(endpoint, known))
    return UndeployResult(endpoint, removed)
