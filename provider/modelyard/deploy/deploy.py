"""The operation ``deploy``."""

import msgspec

from modelyard.deploy.revision import ProjectRevision, load_graph, resolve_models
from modelyard.deploy.targets import Order, find_target
from modelyard.operations import OperationContext, operation
from modelyard.projects import open_project
from modelyard.tracking import open_tracking

__all__ = ["DeployResult", "deploy"]


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
    """

    endpoint: str
    url: str
    revision: str
    models: dict[str, str]
    changed: bool
    previous: str | None


@operation(kind="deploy", side_effects="deployment")
def deploy(
    context: OperationContext,
    *,
    graph: str,
    endpoint: str = "",
    models: dict[str, str] = {},  # noqa: B006 (a declared default; it is never changed)
    port: int = 0,
    timeout: float = 60.0,
    target: str = "",
) -> DeployResult:
    """Put a graph behind HTTP, and return when it answers.

    Packs the graph, the project's files, the exact model files and the list of what is installed into a revision,
    starts it beside what answers now, and moves the traffic when it is ready, without a failed request. A revision
    that does not get ready never gets traffic. The same revision again changes nothing.

    Parameters
    ----------
    graph
        The graph's name in modelyard.yaml, or its dotted path.
    endpoint
        The endpoint's name; by default the graph's.
    models
        Other model references for some model steps, by step name.
    port
        The port to answer on; 0 keeps the endpoint's port, or takes a free one.
    timeout
        Seconds until the new revision must be ready.
    target
        The kind of place to deploy to; by default what the environment says.

    Examples
    --------
    $ modelyard deploy --graph delays
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
        log=context.log,
    )
    with context.progress.track(f"deploying {name}"):
        done = place.deploy(order)
    return DeployResult(
        endpoint=name,
        url=done.url,
        revision=done.manifest.revision,
        models={step: model.reference for step, model in done.manifest.models.items()},
        changed=done.changed,
        previous=done.previous,
    )
