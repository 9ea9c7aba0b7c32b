"""Deployment targets: what every kind of place must be able to do, and the table of those that exist."""

import getpass
import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from modelyard.deploy.errors import TargetNotFound
from modelyard.deploy.rollout import RolloutStatus
from modelyard.serving.bundle import Manifest, read_manifest

__all__ = ["TARGETS", "Deployment", "EarlierRevision", "Order", "RevisionSource", "Target", "find_target", "user_name"]


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


class EarlierRevision:
    """A revision that is there already; a `RevisionSource`.

    Parameters
    ----------
    revision
        Its id.
    """

    def __init__(self, revision: str) -> None:
        self._revision = revision

    def write(self, revisions: Path, requirements: Sequence[str]) -> Manifest:
        """Return what is in it.

        Raises
        ------
        BundleInvalid
            It is not there, or damaged.
        """
        del requirements
        return read_manifest(revisions / self._revision)


def user_name() -> str:
    """Return who runs this process; empty where nobody knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return ""


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
    traffic
        The percentages of ``champion`` and ``challenger``: the revision is tried on a part of the traffic first. Empty
        leaves it to the settings.
    shadow
        Whether it is tried on copies of the requests instead.
    by
        Who orders it, for the history.
    action
        What is ordered, for the history: ``deploy`` or ``rollback``.
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
    traffic: Mapping[str, float] = field(default_factory=dict)
    shadow: bool = False
    by: str = field(default_factory=user_name)
    action: str = "deploy"
    log: logging.Logger


class Deployment(NamedTuple):
    """What answers after a deployment.

    Parameters
    ----------
    url
        Where.
    manifest
        What is in the revision.
    changed
        Whether anything changed.
    previous
        The revision that answered before.
    rollout
        ``canary`` or ``shadow`` while the revision is tried; empty if it answers everything.
    grpc
        Where gRPC is answered, as ``host:port``; empty if it is not.
    """

    url: str
    manifest: Manifest
    changed: bool
    previous: str | None
    rollout: str = ""
    grpc: str = ""


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

    def rollback(self, order: Order, revision: str) -> Deployment:
        """Make an earlier revision answer, and return when it does.

        Parameters
        ----------
        order
            As for `deploy`; its source is not used.
        revision
            The id of an earlier revision, or how it begins; empty means what answered before a rollout that runs, or
            else the revision before.
        """
        ...

    def promote(self, endpoint: str, state: Path, by: str) -> bool:
        """Give everything to the revision that is tried; return whether there was one."""
        ...

    def scale(self, endpoint: str, state: Path, workers: Mapping[str, Any]) -> bool:
        """Change the bounds of the number of workers until the next deployment; return whether that changed them."""
        ...

    def rollout(self, endpoint: str, state: Path) -> RolloutStatus | None:
        """Return where the last rollout stands; None if there was none."""
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
