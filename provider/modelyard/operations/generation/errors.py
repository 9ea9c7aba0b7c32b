"""Errors of the generator."""

from pathlib import Path

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["CheckoutNotFound"]


class CheckoutNotFound(ModelyardError):
    """Raised when there is no checkout of modelyard to write generated files to."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, start: Path) -> None:
        super().__init__(
            "there is no checkout of modelyard here or above",
            where=str(start),
            mend="Run it in a clone of the repository, or name one with --root.",
        )
