"""A graph behind HTTP: an ASGI application, the server it runs on, and the worker process of an endpoint."""

from modelyard.serving.errors import (
    AddressInvalid,
    BodyTooLarge,
    BundleInvalid,
    HeaderInvalid,
    HttpRefusal,
    MediaTypeUnsupported,
    MethodNotAllowed,
    Overloaded,
    PathNotFound,
    PortTaken,
    ReplyInvalid,
    RequestMalformed,
    RequestTimeout,
    ResponseInvalid,
    RowsExceeded,
)

__all__ = [
    "AddressInvalid",
    "BodyTooLarge",
    "BundleInvalid",
    "HeaderInvalid",
    "HttpRefusal",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "Overloaded",
    "PathNotFound",
    "PortTaken",
    "ReplyInvalid",
    "RequestMalformed",
    "RequestTimeout",
    "ResponseInvalid",
    "RowsExceeded",
]
