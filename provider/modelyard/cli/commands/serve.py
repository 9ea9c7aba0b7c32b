"""``modelyard serve``: a graph behind HTTP, in this process."""

import click

from modelyard.cli.options import environment_options
from modelyard.deploy.revision import load_graph
from modelyard.projects import open_project
from modelyard.serving.resources import project_resources

__all__ = ["serve"]


@click.command()
@click.argument("graph")
@click.option("--port", default=0, metavar="INTEGER", help="The port.  [default: a free one]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Who may reach it.")
@environment_options
def serve(graph: str, port: int, host: str, project: str, environment: str) -> None:
    """Serve a graph of the project on a port of this machine until Ctrl-C.

    For a look at it: code is imported once and models are loaded once. For production there is modelyard deploy.
    """
    found = load_graph(open_project(project), graph)
    resources = project_resources(project, environment) if found.models else None
    found.serve(port=port, host=host, resources=resources)
