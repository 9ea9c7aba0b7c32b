"""Which graphs of a project serve the models that a change brings."""

from collections.abc import Iterable

from modelyard.ci.records import Candidate
from modelyard.deploy.revision import load_graph
from modelyard.errors import ModelyardError
from modelyard.projects import Project

__all__ = ["by_registered_name", "graphs_serving", "registered_name"]


def registered_name(reference: str) -> str:
    """Return the registered name in a reference; empty if it has none.

    Examples
    --------
    >>> registered_name("models:/delays@champion"), registered_name("models:/m-0123")
    ('delays', '')
    """
    rest = reference.removeprefix("models:/")
    name, mark, _ = rest.partition("@") if "@" in rest else rest.rpartition("/")
    return name if mark and reference.startswith("models:/") else ""


def by_registered_name(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Return the exact versions of candidates by their registered names; of several of one name, the last.

    Parameters
    ----------
    candidates
        The candidates; those that are not registered are left out.
    """
    return {name: each.model for each in candidates if (name := registered_name(each.model))}


def graphs_serving(project: Project, candidates: Iterable[Candidate]) -> list[str]:
    """Return the graphs that name a registered model of which there is a candidate; one that does not load is none.

    Parameters
    ----------
    project
        The project.
    candidates
        The candidates.
    """
    names = by_registered_name(candidates)
    found = []
    for graph in project.definition.graphs if names else ():
        try:
            models = load_graph(project, graph).models
        except ModelyardError:
            continue
        if any(registered_name(reference) in names for reference in models.values()):
            found.append(graph)
    return found
