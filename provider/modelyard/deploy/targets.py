"""Deployment targets: what every kind of place must be able to do, and the table of those that exist."""

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from modelyard.deploy.errors import TargetNotFound
from modelyard.serving.bundle import Manifest

__all__ = ["TARGETS", "Deployment", "Order", "RevisionSource", "Target", "find_target"]


class RevisionSource(Protocol):
    """Knows how to make the revision that shall be deployed."""

    def write(self, revisions: Path, requirements: Sequence[str]) -> Manifest:
        """Put the bundle into `revisions`, under its id and whole, unless it is there already.

        Parameters
        ----------
        revisions
            The folder of bundles.
        requirements
            What is installed where it will be served.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a target is asked to deploy.

    Parameters
    ----------
    endpoint
        The endpoint's name.
    state
        The environment's state folder.
    settings
        What the environment says about deploying.
    root
        The project's folder, where relative paths in the settings resolve.
    source
        Makes the revision.
    port
        0 keeps the port, or takes a free one.
    timeout
        Seconds until the revision must be ready.
    log
        Where to tell people what happens.
    """

    endpoint: str
    state: Path
    settings: Mapping[str, Any]
    root: Path
    source: RevisionSource
    port: int = 0
    timeout: float = 60.0
    log: logging.Logger


class Deployment(NamedTuple):
    """What answers after a deployment."""

    url: str
    manifest: Manifest
    changed: bool
    previous: str | None


class Target(Protocol):
    """A kind of place where endpoints run.

    A target guarantees: after `deploy` returned, the revision answers and nothing else does; after it raised, what
    answered before still does; the same order again changes nothing; a deployer that was killed leaves nothing that
    the next one does not finish or clear away.
    """

    def check(self, settings: Mapping[str, Any], root: Path) -> None:
        """Refuse settings of an environment, below the project's folder `root`, that `deploy` would refuse."""
        ...

    def deploy(self, order: Order) -> Deployment:
        """Make the revision answer at the endpoint, and return when it does."""
        ...

    def undeploy(self, endpoint: str, state: Path, timeout: float) -> bool:
        """End the endpoint and remove all of it; return whether there was one."""
        ...


TARGETS: dict[str, str] = {"local": "modelyard.deploy.local.target:LocalTarget"}
"""Name → dotted path of the class."""


def find_target(name: str) -> Target:
    """Return the target `name`.

    Raises
    ------
    TargetNotFound
        There is none; the error names the nearest.

    Examples
    --------
    >>> find_target("locl")
    Traceback (most recent call last):
    modelyard.deploy.errors.TargetNotFound: deploy.target: there is no deployment target 'locl'. Did you mean local?
    """
    if name not in TARGETS:
        raise TargetNotFound(name, tuple(TARGETS))
    module, _, attribute = TARGETS[name].partition(":")
    return cast("Target", getattr(importlib.import_module(module), attribute)())
