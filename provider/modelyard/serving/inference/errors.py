"""Errors of requests in the Open Inference Protocol."""

from modelyard.serving.errors import HttpRefusal

__all__ = ["InferenceRefused", "TensorInvalid"]


class InferenceRefused(HttpRefusal):
    """Raised when a request breaks the protocol as a whole.

    Parameters
    ----------
    rule
        What it should have been.
    mend
        How to put it right.
    """

    def __init__(self, rule: str, *, mend: str = "") -> None:
        super().__init__(rule, where="inference request", mend=mend)


class TensorInvalid(HttpRefusal):
    """Raised when one tensor of a request is not what it says it is.

    Parameters
    ----------
    name
        The tensor's name.
    rule
        Which rule it breaks, with the value.
    mend
        How to put it right.
    """

    def __init__(self, name: str, rule: str, *, mend: str = "") -> None:
        super().__init__(rule, where=f"tensor {name!r}", mend=mend, facts={"tensor": name})
