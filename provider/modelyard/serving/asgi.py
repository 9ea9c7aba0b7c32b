"""The contract between a web server and an application, as far as this one uses it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
"""What the server knows of a connection or request."""
Message = MutableMapping[str, Any]
"""One piece of a request or response."""
Receive = Callable[[], Awaitable[Message]]
"""Gives the next piece of the request."""
Send = Callable[[Message], Awaitable[None]]
"""Takes the next piece of the response."""
