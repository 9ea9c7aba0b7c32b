"""The endpoints that a graph declares, over HTTP."""

from modelyard.serving.api.errors import (
    EndpointForbidden,
    EndpointNotFound,
    FieldMissing,
    FieldWrong,
    ParameterRefused,
    ReplyUnmappable,
)

__all__ = [
    "EndpointForbidden",
    "EndpointNotFound",
    "FieldMissing",
    "FieldWrong",
    "ParameterRefused",
    "ReplyUnmappable",
]
