"""The names of the tags that modelyard writes into MLflow, and the tags that every run carries."""

import hashlib

from modelyard.operations import OperationContext
from modelyard.projects import Project

__all__ = [
    "ATTEMPT",
    "BASELINE",
    "BASELINE_ASKED",
    "CLAIM",
    "COMMIT",
    "CONTENT",
    "DIGEST",
    "DIRTY",
    "ENVIRONMENT",
    "EVALUATED_MODEL",
    "FUNCTION",
    "GENERATION",
    "KEY",
    "MODEL_ID",
    "OPERATION",
    "PROJECT",
    "PROMOTION",
    "REJECTION",
    "STEP",
    "SUPERSEDED_BY",
    "WORKFLOW_RUN",
    "claim_of",
    "run_tags",
]

PROJECT = "modelyard.project"
ENVIRONMENT = "modelyard.environment"
COMMIT = "modelyard.commit"
DIRTY = "modelyard.dirty"
CONTENT = "modelyard.content"
OPERATION = "modelyard.operation"
FUNCTION = "modelyard.function"
WORKFLOW_RUN = "modelyard.workflow_run"
STEP = "modelyard.step"
KEY = "modelyard.key"
GENERATION = "modelyard.generation"
ATTEMPT = "modelyard.attempt"
CLAIM = "modelyard.claim"
"""A short digest of key and generation: what the runs of one piece of work have in common and are found by."""
SUPERSEDED_BY = "modelyard.superseded_by"
"""On a killed run: the run of a later attempt at the same work."""
DIGEST = "modelyard.digest"
"""On a model and its versions: the SHA-256 over the model's files."""
MODEL_ID = "modelyard.model_id"
"""On a version: MLflow's identifier of the logged model, which its own registry does not keep."""
EVALUATED_MODEL = "modelyard.evaluated_model"
"""On an evaluation: the exact ``models:/name/version`` that it judged."""
BASELINE_ASKED = "modelyard.baseline"
"""On an evaluation: what it was asked to compare with: an alias, a model reference or ``none``."""
BASELINE = "modelyard.baseline_model"
"""On an evaluation: the exact version that it compared with; empty if with none."""

PROMOTION = "modelyard.promotion."
"""On a version, followed by an alias: who pointed the alias to it, when and why, as JSON."""
REJECTION = "modelyard.rejection."
"""On a version, followed by an alias: who would not have the alias point to it, when and why, as JSON."""


def run_tags(project: Project, context: OperationContext, *, operation: str, function: str = "") -> dict[str, str]:
    """Return the tags that say where a run comes from: code, key, workflow, function.

    Parameters
    ----------
    project
        The opened project, with its stamp.
    context
        The operation's context.
    operation
        The operation's name.
    function
        The project function that does the work; empty if none does.
    """
    stamp = project.stamp
    tags = {
        PROJECT: project.name,
        COMMIT: stamp.commit,
        "mlflow.source.git.commit": stamp.commit,
        DIRTY: "true" if stamp.dirty else "false",
        CONTENT: stamp.content,
        OPERATION: operation,
        FUNCTION: function,
        WORKFLOW_RUN: context.workflow_run,
        STEP: context.step,
        KEY: context.key,
        GENERATION: str(context.generation) if context.key else "",
        ATTEMPT: str(context.attempt) if context.key else "",
    }
    return {name: value for name, value in tags.items() if value}


def claim_of(key: str, generation: int) -> str:
    """Return the short name of one piece of work: the same for each attempt at it, another for each generation.

    Examples
    --------
    >>> claim_of("flights/nightly/train", 1) == claim_of("flights/nightly/train", 2)
    False
    >>> len(claim_of("flights/nightly/train", 1))
    32
    """
    return hashlib.sha256(f"{generation}\n{key}".encode()).hexdigest()[:32]
