"""The OpenAPI document of what a graph answers over HTTP."""

from modelyard.serving.openapi.document import openapi_document

__all__ = ["openapi_document"]
