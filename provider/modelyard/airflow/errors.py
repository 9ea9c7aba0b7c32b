"""Errors of connections and of what is read for Airflow."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "AnswerUnreadable",
    "AssetInvalid",
    "ConnectionInvalid",
    "ConnectionNotFound",
    "ConnectionUnused",
    "ReaderUnavailable",
    "WebhookUnavailable",
]


class AssetInvalid(ModelyardError, ValueError):
    """Raised when a URI or a name cannot be that of an asset of ours; Airflow expects a ValueError there."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, reason: str, near: tuple[str, Sequence[str]] | None = None) -> None:
        super().__init__(
            reason,
            where=f"asset {uri}",
            mend=near_name(near[0], list(near[1])) if near else "Make it by model_asset, dataset_asset and the like.",
            facts={"uri": uri},
        )


class ConnectionInvalid(ModelyardError):
    """Raised when a field of an Airflow connection breaks a rule."""

    kind = ErrorKind.INVALID

    def __init__(self, conn_id: str, field: str, rule: str, known: Sequence[str] = ()) -> None:
        super().__init__(
            f"{field} {rule}",
            where=f"connection {conn_id}",
            mend=near_name(field, list(known)) if known else "Correct it under Admin, Connections.",
            facts={"connection": conn_id, "field": field},
        )


class ConnectionNotFound(ModelyardError):
    """Raised when Airflow has no connection of this name."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, conn_id: str) -> None:
        super().__init__(
            "there is no such connection",
            where=f"connection {conn_id}",
            mend="Add it under Admin, Connections, with the type modelyard.",
            facts={"connection": conn_id},
        )


class ConnectionUnused(ModelyardError):
    """Raised when a connection names a tracking server that the project's environment does not take."""

    kind = ErrorKind.INVALID

    def __init__(self, conn_id: str, named: str, environment: str, taken: str) -> None:
        super().__init__(
            f"it names the tracking URI {named}, but the environment {environment} tracks to {taken}",
            where=f"connection {conn_id}",
            mend="Write tracking: ${MLFLOW_TRACKING_URI} in that environment of modelyard.yaml.",
            facts={"connection": conn_id, "environment": environment},
        )


class ReaderUnavailable(ModelyardError):
    """Raised when a server or interpreter does not answer now."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"it does not answer: {reason}",
            where=address,
            mend="See whether it runs and can be reached from here.",
            facts={"address": address},
        )


class WebhookUnavailable(ModelyardError):
    """Raised when a webhook does not answer, or does not take a notification."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, conn_id: str, reason: str) -> None:
        # The address is often the secret itself: only the connection is named.
        super().__init__(
            f"the webhook does not take the notification: {reason}",
            where=f"connection {conn_id}",
            mend="See whether its address is right and can be reached from here.",
            facts={"connection": conn_id},
        )


class AnswerUnreadable(ModelyardError):
    """Raised when a server or interpreter answers with something else than was asked for."""

    kind = ErrorKind.INVALID

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"its answer cannot be used: {reason}",
            where=address,
            mend="See whether the address is that of an MLflow server, and the interpreter has modelyard[ml].",
            facts={"address": address},
        )
