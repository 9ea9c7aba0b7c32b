"""Previews: a graph with a request's models, for as long as the request or the job lives."""

from modelyard.ci.previewing.preview import Previewing, PreviewRequestFacts
from modelyard.ci.previewing.register import LastingPreview, PreviewRegister
from modelyard.ci.previewing.requests import PreviewRequest, read_requests

__all__ = ["LastingPreview", "PreviewRegister", "PreviewRequest", "PreviewRequestFacts", "Previewing", "read_requests"]
