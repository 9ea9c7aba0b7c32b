"""Answers browsers with pages that are whole in themselves, and everybody with the OpenAPI document."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import NamedTuple

import orjson

from modelyard.graphs import Drawing, Plan
from modelyard.serving.errors import MethodNotAllowed
from modelyard.serving.inference.service import InferenceService
from modelyard.serving.openapi import openapi_document
from modelyard.serving.replies import Reply
from modelyard.serving.requests import Request

__all__ = ["DOCS", "OPENAPI", "PageFront"]

DOCS, OPENAPI = "/docs", "/openapi.json"
_HTML = b"text/html; charset=utf-8"


class _Page(NamedTuple):
    text: str
    headers: tuple[tuple[bytes, bytes], ...]


class PageFront:
    """The page of a graph, the page of its documents, and the document itself.

    Nothing in them comes from elsewhere: style and script are in the page, named by their digests in its
    Content-Security-Policy, and data come from this server.

    Parameters
    ----------
    plan
        The open graph.
    service
        The graph as a service of the Open Inference Protocol.
    """

    def __init__(self, plan: Plan, service: InferenceService) -> None:
        self._plan = plan
        self._service = service

    async def answer(self, request: Request) -> Reply:
        """Return the page, or the document, at a request's path.

        Raises
        ------
        MethodNotAllowed
            It is read, and nothing else.
        """
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(request.method, request.path, "GET, HEAD")
        if request.path == OPENAPI:
            return Reply(200, orjson.dumps(openapi_document(self._plan, self._service)))
        page = _page("docs.html" if request.path == DOCS else "graph.html")
        text = page.text.replace("{{graph}}", escape(self._plan.graph))
        if request.path != DOCS:
            text = text.replace("{{drawing}}", Drawing(self._plan.definition).svg)
        return Reply(200, text.encode(), page.headers, content_type=_HTML)


@cache
def _page(name: str) -> _Page:
    """Return a page with the headers that let it run what is in it, and nothing else."""
    folder = files("modelyard.serving.page")
    style = folder.joinpath("pages.css").read_text("utf-8")
    script = folder.joinpath(name.replace(".html", ".js")).read_text("utf-8")
    text = folder.joinpath(name).read_text("utf-8").replace("{{style}}", style).replace("{{script}}", script)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
    )
    return _Page(text, headers)


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
