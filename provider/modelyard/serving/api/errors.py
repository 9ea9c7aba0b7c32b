"""What a declared endpoint refuses, and what a graph's reply cannot be mapped to."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.serving.errors import HttpRefusal

__all__ = [
    "EndpointForbidden",
    "EndpointNotFound",
    "FieldMissing",
    "FieldWrong",
    "ParameterRefused",
    "ReplyUnmappable",
]


class EndpointNotFound(HttpRefusal):
    """Raised when the graph declares no endpoint at a path."""

    kind = ErrorKind.NOT_FOUND
    status = 404

    def __init__(self, path: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the graph declares no endpoint at {path}",
            mend=f"{near_name(path, list(known))} See /docs.",
            facts={"path": path},
        )


class EndpointForbidden(HttpRefusal):
    """Raised when the graph declares that nobody gets an answer there."""

    kind = ErrorKind.DENIED
    status = 403

    def __init__(self, method: str, path: str, declared: str) -> None:
        super().__init__(
            f"{method} {path} is forbidden: the graph declares so of {declared}",
            mend="See /docs for what is answered.",
            facts={"method": method, "path": path},
        )


class ParameterRefused(HttpRefusal):
    """Raised when a parameter of the path or of the query is missing, or is not what it is declared to be."""

    status = 422

    def __init__(self, name: str, place: str, rule: str) -> None:
        super().__init__(f"the parameter {name!r} in the {place} {rule}", facts={"parameter": name, "in": place})


class FieldMissing(HttpRefusal):
    """Raised when the body has nothing where a mandatory field comes from."""

    status = 422

    def __init__(self, name: str, source: str) -> None:
        super().__init__(
            f"the body has no {source}, from which the field {name!r} comes", facts={"field": name, "source": source}
        )


class FieldWrong(HttpRefusal):
    """Raised when what the body has is not what a field is declared to be."""

    status = 422

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"the field {name!r} {rule}", facts={"field": name})


class ReplyUnmappable(ModelyardError):
    """Raised when the graph's reply has nothing where a mandatory field of the response comes from."""

    kind = ErrorKind.USER_CODE

    def __init__(self, graph: str, name: str, rule: str) -> None:
        super().__init__(
            f"the response's field {name!r}: the reply {rule}",
            where=f"graph {graph}",
            facts={"graph": graph, "field": name},
        )
