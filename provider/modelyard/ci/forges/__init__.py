"""Forges: where repositories and requests live, and where reports go."""

from modelyard.ci.forges.connection import Patience
from modelyard.ci.forges.forge import (
    Annotation,
    CheckReport,
    Comment,
    CommitStatus,
    DeploymentReport,
    Forge,
    RequestFacts,
)
from modelyard.ci.forges.opening import completed, open_forge

__all__ = [
    "Annotation",
    "CheckReport",
    "Comment",
    "CommitStatus",
    "DeploymentReport",
    "Forge",
    "Patience",
    "RequestFacts",
    "completed",
    "open_forge",
]
