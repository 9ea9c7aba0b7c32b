"""The operation ``deploy``."""

import time

import msgspec

from modelyard.deploy.errors import RolloutFailed, located
from modelyard.deploy.revision import ProjectRevision, load_graph, resolve_models
from modelyard.deploy.targets import Order, Target, find_target
from modelyard.operations import OperationContext, operation
from modelyard.projects import open_project
from modelyard.tracking import open_tracking

__all__ = ["DeployResult", "deploy"]

LOOK = 0.5
"""Seconds between two looks at a rollout that somebody waits for."""


class DeployResult(msgspec.Struct, frozen=True):
    """What answers after a deployment.

    Attributes
    ----------
    endpoint : str
        The endpoint's name.
    url : str
        Where it answers.
    revision : str
        The id of what answers: a hash of its content.
    models : dict[str, str]
        The exact model version of each model step.
    changed : bool
        Whether this deployment changed what answers; false if the revision answered already.
    previous : str | None
        The revision that answered before; nothing for the first.
    rollout : str
        ``canary`` or ``shadow`` while the revision is tried on live traffic; empty once it answers everything.
    grpc : str
        Where gRPC is answered, as ``host:port``; empty if it is not.
    """

    endpoint: str
    url: str
    revision: str
    models: dict[str, str]
    changed: bool
    previous: str | None
    rollout: str = ""
    grpc: str = ""


@operation(kind="deploy", side_effects="deployment")
def deploy(
    context: OperationContext,
    *,
    graph: str,
    endpoint: str = "",
    models: dict[str, str] = {},  # noqa: B006 (a declared default; it is never changed)
    traffic: dict[str, float] = {},  # noqa: B006
    shadow: bool = False,
    wait: bool = False,
    port: int = 0,
    timeout: float = 60.0,
    target: str = "",
) -> DeployResult:
    """Put a graph behind HTTP, and return when it answers.

    Packs the graph, the project's files, the exact model files and the list of what is installed into a revision,
    starts it beside what answers now, and moves the traffic when it is ready, without a failed request. A revision
    that does not get ready never gets traffic. The same revision again changes nothing.

    With `traffic`, or steps in the environment's ``rollout``, a new revision is tried on a part of the traffic first;
    gates on errors, latency and a metric decide whether it gets the rest or is rolled back.

    Parameters
    ----------
    graph
        The graph's name in modelyard.yaml, or its dotted path.
    endpoint
        The endpoint's name; by default the graph's.
    models
        Other model references for some model steps, by step name.
    traffic
        The percentages of ``champion`` (what answers now) and ``challenger`` (the new revision) to begin with.
    shadow
        Try it on copies of the requests instead, whose answers nobody sees.
    wait
        Return when the rollout is decided; one that is rolled back is an error.
    port
        The port to answer on; 0 keeps the endpoint's port, or takes a free one.
    timeout
        Seconds until the new revision must be ready.
    target
        The kind of place to deploy to; by default what the environment says.

    Examples
    --------
    $ modelyard deploy --graph delays
    $ modelyard deploy --graph delays --traffic champion=90 --traffic challenger=10 --wait true
    $ modelyard deploy --graph delays --endpoint delays-canary --models '{"delays": "models:/delays@challenger"}'
    """
    project = open_project(context.project)
    environment = project.environment(context.environment)
    place = find_target(target or str(environment.deploy.get("target") or "local"))
    defined = load_graph(project, graph).with_models(models)
    tracking = open_tracking(environment, project.name) if defined.models else None
    resolved = resolve_models(defined, tracking) if tracking else {}
    name = endpoint or defined.name
    order = Order(
        endpoint=name,
        state=environment.open_state(),
        settings=environment.deploy,
        root=project.root,
        source=ProjectRevision(project, defined, resolved, tracking),
        port=port,
        timeout=timeout,
        traffic=traffic,
        shadow=shadow,
        log=context.log,
    )
    with context.progress.track(f"deploying {name}"), located(environment.places):
        done = place.deploy(order)
    if done.rollout and wait:
        with context.progress.track(f"trying {done.manifest.revision} on live traffic"):
            _await_decision(place, order, done.manifest.revision)
        done = done._replace(rollout="")
    return DeployResult(
        endpoint=name,
        url=done.url,
        revision=done.manifest.revision,
        models={step: model.reference for step, model in done.manifest.models.items()},
        changed=done.changed,
        previous=done.previous,
        rollout=done.rollout,
        grpc=done.grpc,
    )


def _await_decision(place: Target, order: Order, revision: str) -> None:
    said = ""
    while (status := place.rollout(order.endpoint, order.state)) and status.state == "running":
        step = f"step {status.step} of {status.steps}: {status.share:g} % of the traffic"
        if step != said:
            said = step
            order.log.info("%s", step)
        time.sleep(LOOK)
    if status and status.revision == revision and status.state == "promoted":
        order.log.info("promoted: %s", status.reason)
        return
    reason = status.reason if status and status.revision == revision else "another deployment came"
    raise RolloutFailed(order.endpoint, revision, reason)
