"""Errors of serving; those that HTTP itself knows carry their own status."""

from collections.abc import Mapping
from typing import ClassVar

from modelyard.errors import ErrorKind, ModelyardError

__all__ = [
    "AccessRefused",
    "AddressInvalid",
    "BodyTooLarge",
    "BundleInvalid",
    "CellInvalid",
    "CertificateInvalid",
    "EncodingUnsupported",
    "HeaderInvalid",
    "HttpRefusal",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "ModelNotBundled",
    "ModelTooLarge",
    "Overloaded",
    "PathNotFound",
    "PortTaken",
    "ReplyInvalid",
    "RequestMalformed",
    "RequestTimeout",
    "ResponseInvalid",
    "RevisionLost",
    "RoleMissing",
    "RowsExceeded",
    "ScopeUnsupported",
    "TableTooLarge",
    "TokenMissing",
    "TokenUnknown",
    "TokensInvalid",
]


class HttpRefusal(ModelyardError):
    """Base of what the server refuses before a graph sees it.

    ::

        HttpRefusal
        ├── RequestMalformed      400
        ├── HeaderInvalid         400
        ├── CellInvalid           400
        ├── AccessRefused
        │   ├── TokenMissing      401
        │   ├── TokenUnknown      401
        │   └── RoleMissing       403
        ├── PathNotFound          404
        ├── MethodNotAllowed      405
        ├── RequestTimeout        408
        ├── BodyTooLarge          413
        ├── RowsExceeded          413
        ├── TableTooLarge         413
        ├── MediaTypeUnsupported  415
        ├── EncodingUnsupported   415
        └── Overloaded            429
    """

    kind = ErrorKind.INVALID
    status: ClassVar[int] = 400

    @property
    def code(self) -> int:
        """The status of this very refusal."""
        return type(self).status


class RequestMalformed(HttpRefusal):
    """Raised when the body is not what its content type says.

    Parameters
    ----------
    reason
        What is wrong with it.
    form
        What it should have been.
    mend
        How to put it right.
    """

    def __init__(self, reason: str, *, form: str = "JSON", mend: str = "Send one JSON value as the body.") -> None:
        super().__init__(f"the body is not {form}: {reason}", mend=mend)


class PathNotFound(HttpRefusal):
    """Raised when nothing answers at the path."""

    kind = ErrorKind.NOT_FOUND
    status = 404

    def __init__(self, path: str) -> None:
        super().__init__(
            f"nothing answers at {path}",
            mend="POST events to /; GET /v2 describes what is served.",
            facts={"path": path},
        )


class AccessRefused(HttpRefusal):
    """Base of what is refused because of who asks; carries what the answer's ``WWW-Authenticate`` says."""

    kind = ErrorKind.DENIED
    status = 401
    challenge = 'Bearer realm="modelyard"'


class TokenMissing(AccessRefused):
    """Raised when a request comes without a token, and takes one."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f"this takes a token with the role {role}",
            mend="Send the header Authorization: Bearer TOKEN.",
            facts={"role": role},
        )


class TokenUnknown(AccessRefused):
    """Raised when nobody gave out the token that a request comes with."""

    challenge = 'Bearer realm="modelyard", error="invalid_token"'

    def __init__(self, role: str) -> None:
        super().__init__("the token is not known", mend="Ask who runs the server for one.", facts={"role": role})


class RoleMissing(AccessRefused):
    """Raised when the token is known, and has not the role that the request takes."""

    status = 403

    def __init__(self, has: str, role: str) -> None:
        super().__init__(f"the token has the role {has}; this takes {role}", facts={"has": has, "role": role})
        self.challenge = f'Bearer realm="modelyard", error="insufficient_scope", scope="{role}"'


class MethodNotAllowed(HttpRefusal):
    """Raised when the path answers another method."""

    status = 405

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(
            f"{path} does not answer {method}", mend=f"Use {allowed}.", facts={"method": method, "allowed": allowed}
        )
        self.allowed = allowed


class BodyTooLarge(HttpRefusal):
    """Raised when the body is larger than the limit."""

    status = 413

    def __init__(self, limit: int, size: int = 0, *, how: str = "") -> None:
        super().__init__(
            f"the body is larger than {limit} bytes{how}{f': {size} bytes' if size else ''}",
            mend="Send fewer rows at a time.",
            facts={"limit": limit, "bytes": size} if size else {"limit": limit},
        )


class RowsExceeded(HttpRefusal):
    """Raised when a request has more rows than the limit."""

    status = 413

    def __init__(self, rows: int, limit: int) -> None:
        super().__init__(
            f"the request has {rows} rows, the limit is {limit}",
            mend="Send fewer rows at a time, or predict in a batch.",
            facts={"rows": rows, "limit": limit},
        )


class TableTooLarge(HttpRefusal):
    """Raised when a table takes more memory than the limit, once it is unpacked.

    Parameters
    ----------
    size
        How many bytes at least.
    limit
        How many bytes at most.
    """

    status = 413

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the table has {size} bytes when it is unpacked, the limit is {limit}",
            mend="Send fewer rows or columns at a time, or predict in a batch.",
            facts={"bytes": size, "limit": limit},
        )


class CellInvalid(HttpRefusal):
    """Raised when a cell of a table does not hold what its column does.

    Parameters
    ----------
    row
        Which row, counted from 0; a header is none.
    column
        Which column.
    holds
        What the column holds, in words.
    datatype
        The same, as the model's signature has it.
    value
        The cell.
    """

    def __init__(self, row: int, column: str, holds: str, datatype: str, value: str) -> None:
        super().__init__(
            f"row {row}: the column {column!r} has {holds} ({datatype}), not {value!r:.80}",
            mend="Put one there, or nothing.",
            facts={"row": row, "column": column, "value": value[:80]},
        )


class EncodingUnsupported(HttpRefusal):
    """Raised when the body is packed in a way that the server does not unpack."""

    status = 415
    accepted = "gzip, identity"

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"the content encoding is {encoding!r:.80}",
            mend=f"Send the body as it is, or packed by gzip (accept-encoding: {self.accepted}).",
            facts={"encoding": encoding[:80]},
        )


class MediaTypeUnsupported(HttpRefusal):
    """Raised when the body is of a type that the server does not read."""

    status = 415

    def __init__(self, media_type: str, mend: str = "Send application/json (curl: --json).") -> None:
        super().__init__(f"the content type is {media_type}", mend=mend)


class HeaderInvalid(HttpRefusal):
    """Raised when a header that the server looks at says something else than it can."""

    def __init__(self, name: str, value: str, rule: str) -> None:
        super().__init__(f"the header {name} is {rule}, not {value!r:.80}", facts={"header": name})


class RequestTimeout(HttpRefusal):
    """Raised when a client takes too long to send its body."""

    kind = ErrorKind.TIMEOUT
    status = 408

    def __init__(self, seconds: float, size: int) -> None:
        super().__init__(
            f"the body did not arrive within {seconds:g} seconds: {size} bytes did",
            mend="Send it at once, or in smaller requests.",
            facts={"seconds": seconds, "bytes": size},
        )


class Overloaded(HttpRefusal):
    """Raised when as many requests are under way and waiting as the server takes on."""

    kind = ErrorKind.EXHAUSTED
    status = 429

    def __init__(self, active: int, waiting: int, retry_after: int) -> None:
        super().__init__(
            f"{active} requests are under way, and {waiting} wait",
            mend=f"Try again in {retry_after} s.",
            facts={"active": active, "waiting": waiting, "retry_after": retry_after},
        )
        self.retry_after = retry_after


class ScopeUnsupported(ModelyardError):
    """Raised when an ASGI server asks for a protocol that is none of HTTP's: ASGI wants an error then."""

    kind = ErrorKind.INVALID

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"a graph answers http and websocket, and not {scope!r}",
            where="the scope's type",
            mend="Mount it where HTTP is answered.",
            facts={"scope": scope},
        )


class ReplyInvalid(ModelyardError):
    """Raised when the graph's reply cannot be written as JSON."""

    kind = ErrorKind.USER_CODE

    def __init__(self, graph: str, event: str, reason: str) -> None:
        super().__init__(
            f"the reply is not JSON: {reason}",
            where=f"graph {graph}, event {event}",
            mend="Return dictionaries, lists, strings, numbers, booleans, None or NumPy arrays of them.",
            facts={"graph": graph, "event": event},
        )


class ResponseInvalid(ModelyardError):
    """Raised when a step's `Response` has a status or header that HTTP has not."""

    kind = ErrorKind.USER_CODE

    def __init__(self, graph: str, event: str, rule: str) -> None:
        super().__init__(rule, where=f"graph {graph}, event {event}", facts={"graph": graph, "event": event})


class ModelNotBundled(ModelyardError):
    """Raised when a worker is asked for a model that its revision does not hold."""

    kind = ErrorKind.CONFLICT

    def __init__(self, reference: str, known: Mapping[str, str]) -> None:
        held = ", ".join(f"{step} is {model}" for step, model in known.items()) or "none"
        super().__init__(
            f"the revision holds no model {reference!r}, and never changes: {held}",
            mend="Deploy the graph with the other version.",
            facts={"reference": reference},
        )


class ModelTooLarge(ModelyardError):
    """Raised when the files of a model are larger than a worker loads."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, size: int, limit: int) -> None:
        super().__init__(
            f"the files of {model} have {size} bytes, more than the limit of {limit}",
            where="deploy.limits.model",
            mend="Raise the limit, or compress the model.",
            facts={"model": model, "size": size, "limit": limit},
        )


class BundleInvalid(ModelyardError):
    """Raised when a folder holds no revision that can be served."""

    kind = ErrorKind.INVALID

    def __init__(self, folder: str, rule: str) -> None:
        super().__init__(rule, where=folder, mend="Deploy the graph again.", facts={"folder": folder})


class TokensInvalid(ModelyardError):
    """Raised when the tokens that a server is to accept cannot be had, or are none."""

    kind = ErrorKind.INVALID

    def __init__(self, source: str, rule: str) -> None:
        super().__init__(
            rule,
            where=f"access, {source}",
            mend="A source is the name of a secret or the path of a file, with one token a line.",
            facts={"source": source},
        )


class CertificateInvalid(ModelyardError):
    """Raised when a certificate or key cannot be used."""

    kind = ErrorKind.INVALID

    def __init__(self, paths: str, reason: str) -> None:
        super().__init__(
            f"the certificates cannot be used: {reason}",
            where=paths,
            mend="Name PEM files that this process may read, and the key of that very certificate.",
            facts={"paths": paths, "reason": reason},
        )


class PortTaken(ModelyardError):
    """Raised when something else listens on the port."""

    kind = ErrorKind.CONFLICT

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"the port {port} on {host} is taken",
            where="port",
            mend="Choose another, or 0 for a free one.",
            facts={"host": host, "port": port},
        )


class AddressInvalid(ModelyardError):
    """Raised when nothing can listen at an address of this machine, whoever asks."""

    kind = ErrorKind.INVALID

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"nothing can listen on {host}, port {port}: {reason}",
            where="host",
            mend="Use 127.0.0.1 for this machine only, or 0.0.0.0 for all its addresses.",
            facts={"host": host, "port": port, "reason": reason},
        )


class RevisionLost(ModelyardError):
    """Raised when the revision that a request was handed on to ended before it answered.

    Parameters
    ----------
    revision
        Which.
    """

    kind = ErrorKind.LOST

    def __init__(self, revision: str) -> None:
        super().__init__(
            "the process that had the request ended before it answered",
            where=f"revision {revision}",
            mend="Ask again, if the request may be repeated.",
            facts={"revision": revision},
        )
