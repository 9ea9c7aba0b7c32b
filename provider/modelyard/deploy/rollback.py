"""The operation ``rollback``."""

import msgspec

from modelyard.deploy.errors import located
from modelyard.deploy.targets import EarlierRevision, Order, find_target
from modelyard.operations import OperationContext, operation
from modelyard.projects import open_project

__all__ = ["RollbackResult", "rollback"]


class RollbackResult(msgspec.Struct, frozen=True):
    """What answers after a rollback.

    Attributes
    ----------
    endpoint : str
        The endpoint's name.
    url : str
        Where it answers.
    revision : str
        What answers now.
    models : dict[str, str]
        The exact model version of each model step.
    changed : bool
        Whether the rollback changed what answers.
    previous : str | None
        What answered, or was tried, before.
    """

    endpoint: str
    url: str
    revision: str
    models: dict[str, str]
    changed: bool
    previous: str | None


@operation(kind="rollback", side_effects="deployment")
def rollback(
    context: OperationContext, *, endpoint: str, revision: str = "", timeout: float = 60.0, target: str = ""
) -> RollbackResult:
    """Let an earlier revision of an endpoint answer again, without a failed request.

    The revision is as it was: its code, its models, its settings of now. It must get ready before traffic moves.

    Parameters
    ----------
    endpoint
        The endpoint's name.
    revision
        The id of an earlier revision, or how it begins. Without one a rollout that runs is ended; if none runs, the
        revision before the present one answers.
    timeout
        Seconds until the revision must be ready.
    target
        The kind of place that it runs at; by default what the environment says.

    Examples
    --------
    $ modelyard rollback --endpoint delays
    $ modelyard rollback --endpoint delays --revision 4f2a
    """
    project = open_project(context.project)
    environment = project.environment(context.environment)
    place = find_target(target or str(environment.deploy.get("target") or "local"))
    order = Order(
        endpoint=endpoint,
        state=environment.state,
        settings=environment.deploy,
        root=project.root,
        source=EarlierRevision(revision),
        timeout=timeout,
        log=context.log,
    )
    with context.progress.track(f"rolling {endpoint} back"), located(environment.places):
        done = place.rollback(order, revision)
    return RollbackResult(
        endpoint=endpoint,
        url=done.url,
        revision=done.manifest.revision,
        models={step: model.reference for step, model in done.manifest.models.items()},
        changed=done.changed,
        previous=done.previous,
    )
