"""Which failed tries of a step are followed by another, in every engine."""

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["is_worth_another_try"]

_PERHAPS = (ErrorKind.USER_CODE, ErrorKind.INTERNAL)
"""Kinds that are not tried again unasked; a step that is given retries asks."""


def is_worth_another_try(error: ModelyardError) -> bool:
    """Return whether a step with retries left is tried again after an error.

    It is after everything that may pass: what the project's code raised, a service that did not answer, a timeout, a
    worker that was lost. What the same input would bring back is not tried again: a parameter that does not fit, a name
    that leads nowhere, a gate that did not hold, missing rights, a conflict; nor is what somebody cancelled.

    Examples
    --------
    >>> from modelyard.workflows.errors import StepTimeout, WorkflowInvalid
    >>> is_worth_another_try(StepTimeout("fit", 60)), is_worth_another_try(WorkflowInvalid("no such thing"))
    (True, False)
    """
    return error.outcome.retry or error.error_kind in _PERHAPS
