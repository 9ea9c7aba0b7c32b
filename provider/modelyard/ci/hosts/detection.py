"""Finds out which host runs this process."""

import os
from collections.abc import Callable, Mapping

from modelyard.ci.hosts.context import CiContext, CiFiles
from modelyard.ci.hosts.github import github_context
from modelyard.ci.hosts.gitlab import gitlab_context
from modelyard.ci.hosts.jenkins import jenkins_context

__all__ = ["detect"]

_HOSTS: tuple[tuple[str, Callable[[Mapping[str, str]], CiContext]], ...] = (
    ("GITHUB_ACTIONS", github_context),
    ("GITLAB_CI", gitlab_context),
    ("JENKINS_URL", jenkins_context),
)
"""The variable that is set on a host alone → how its surroundings are read."""


def detect(variables: Mapping[str, str] | None = None) -> CiContext:
    """Return the surroundings of a CI job; on no known host, a context without anything.

    Parameters
    ----------
    variables
        The environment variables; those of this process unless given.

    Examples
    --------
    >>> found = detect({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "schedule", "CI_SERVER_URL": "https://git.example.com"})
    >>> found.host, found.event, found.api
    ('gitlab', 'schedule', 'https://git.example.com/api/v4')
    >>> detect({}).host
    'none'
    """
    known = os.environ if variables is None else variables
    for marker, read in _HOSTS:
        if known.get(marker):
            return read(known)
    return CiContext(files=CiFiles(outputs=known.get("MODELYARD_OUTPUTS", "")))
