"""What a graph gets when it runs outside a bundle: in a test, a notebook, an IDE."""

from pathlib import Path

from modelyard.graphs import LoadedModel, Resources
from modelyard.projects import open_project
from modelyard.tracking import Tracking, open_tracking

__all__ = ["RegistryModels", "project_resources"]


class RegistryModels:
    """Loads models from the registry; a `modelyard.graphs.ModelLoader`.

    Parameters
    ----------
    tracking
        The environment's tracking.
    """

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking

    def load(self, reference: str) -> LoadedModel:
        """Return the model that `reference` names now, if the registry vouches for it."""
        return self._tracking.load_model(self._tracking.resolve(reference))


def project_resources(project: str | Path = ".", environment: str = "") -> Resources:
    """Return what the graphs of a project need: the models of one environment's registry.

    Parameters
    ----------
    project
        A project reference.
    environment
        The environment's name; by default as everywhere.
    """
    opened = open_project(project)
    return Resources(models=RegistryModels(open_tracking(opened.environment(environment), opened.name)))
