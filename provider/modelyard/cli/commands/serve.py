"""``modelyard serve``: a graph behind HTTP until Ctrl-C or SIGTERM."""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from modelyard.cli.options import environment_options
from modelyard.cli.output import show_text
from modelyard.cli.signals import termination_cancels
from modelyard.deploy import read_endpoint
from modelyard.deploy.revision import ProjectRevision, load_graph, resolve_models
from modelyard.deploy.targets import Deployment, Order, find_target
from modelyard.graphs import Graph
from modelyard.operations.errors import Terminated
from modelyard.projects import open_project
from modelyard.serving.resources import project_resources
from modelyard.tracking import open_tracking

__all__ = ["serve"]

_END_TIMEOUT = 30.0
_TICK = 0.2


@click.command()
@click.argument("graph", metavar="[PROJECT:]GRAPH")
@click.option("--port", default=0, metavar="INTEGER", help="The port.  [default: a free one]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Who may reach it.")
@click.option("--grpc-port", type=int, metavar="INTEGER", help="Answer gRPC at this port, too; 0 takes a free one.")
@click.option("--workers", default=1, show_default=True, metavar="INTEGER", help="How many processes.")
@environment_options
def serve(
    graph: str, port: int, host: str, grpc_port: int | None, workers: int, project: str, environment: str
) -> None:
    """Serve a graph of the project on a port of this machine until Ctrl-C.

    GRAPH is a name in modelyard.yaml or a dotted path; PROJECT, before a colon, the project's folder.

    For a look at it: code is imported once and models are loaded once. For production there is modelyard deploy.
    """
    project, graph = _apart(project, graph)
    found = load_graph(open_project(project), graph)
    if workers == 1:
        resources = project_resources(project, environment) if found.models else None
        found.serve(port=port, host=host, grpc_port=grpc_port, resources=resources)
        return
    settings = {"workers": workers, "host": host, "grpc_port": grpc_port}
    with tempfile.TemporaryDirectory(prefix="modelyard-serve-") as folder:
        place = _endpoint(found, Path(folder), settings, port, project, environment)
        with termination_cancels(), place as done, suppress(KeyboardInterrupt, Terminated):
            also = f" and grpc://{done.grpc}" if done.grpc else ""
            # whoever reads the line may interrupt at once
            show_text(f"{found.name} answers at {done.url}{also} (Ctrl+C ends it)")
            sys.stdout.flush()
            _tell_figures(found.name, Path(folder))
            while True:
                time.sleep(_TICK)
        show_text(f"{found.name} ended")


def _apart(project: str, graph: str) -> tuple[str, str]:
    """Tell a project before the graph from a dotted path, whose module comes before a colon, too.

    Examples
    --------
    >>> _apart("p", "delays"), _apart("p", "flights.serving:delays"), _apart("p", "./flights:delays")
    (('p', 'delays'), ('p', 'flights.serving:delays'), ('./flights', 'delays'))
    """
    folder, colon, name = graph.partition(":")
    is_folder = os.sep in folder or (Path(folder) / "modelyard.yaml").exists()
    return (folder, name) if colon and is_folder else (project, graph)


def _tell_figures(name: str, state: Path) -> None:
    """Say where the figures of all workers are; the supervisor knows soon after they answer."""
    while not (metrics := read_endpoint(state, name).metrics):
        time.sleep(_TICK)
    show_text(f"figures of all workers: {metrics}")
    sys.stdout.flush()


@contextmanager
def _endpoint(
    graph: Graph, state: Path, settings: dict[str, object], port: int, project: str, environment: str
) -> Iterator[Deployment]:
    """Keep an endpoint of several processes for as long as the block lasts."""
    opened = open_project(project)
    place, chosen = find_target("local"), opened.environment(environment)
    tracking = open_tracking(chosen, opened.name) if graph.models else None
    models = resolve_models(graph, tracking) if tracking else {}
    order = Order(
        endpoint=graph.name,
        state=state,
        settings={name: value for name, value in settings.items() if value is not None},
        root=opened.root,
        source=ProjectRevision(opened, graph, models, tracking),
        port=port,
        log=logging.getLogger("modelyard"),
    )
    try:
        yield place.deploy(order)
    finally:
        place.undeploy(graph.name, state, _END_TIMEOUT)
