"""Errors of the console."""

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["PlaceNotFound"]


class PlaceNotFound(ModelyardError):
    """Raised when the console is asked for what it does not show, or cannot."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, place: str, problem: str = "") -> None:
        super().__init__(
            problem or "the console does not show it",
            where="" if problem else place,
            mend="" if problem else "Name it in [modelyard] connections or projects of Airflow's configuration.",
            facts={"place": place},
        )
