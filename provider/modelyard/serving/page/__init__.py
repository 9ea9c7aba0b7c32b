"""The pages that the server has for people: what is served and how it fares, and its documents to try out."""

from modelyard.serving.page.front import PageFront

__all__ = ["PageFront"]
