"""A graph behind HTTP: an ASGI application, the server it runs on, and the worker process of an endpoint."""

from modelyard.serving.errors import (
    AddressInvalid,
    BodyTooLarge,
    BundleInvalid,
    HttpRefusal,
    MediaTypeUnsupported,
    MethodNotAllowed,
    PathNotFound,
    PortTaken,
    ReplyInvalid,
    RequestMalformed,
    ResponseInvalid,
)

__all__ = [
    "AddressInvalid",
    "BodyTooLarge",
    "BundleInvalid",
    "HttpRefusal",
    "MediaTypeUnsupported",
    "MethodNotAllowed",
    "PathNotFound",
    "PortTaken",
    "ReplyInvalid",
    "RequestMalformed",
    "ResponseInvalid",
]
