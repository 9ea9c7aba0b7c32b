"""The application that Airflow's API server mounts, made when somebody asks it for the first time."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["ConsoleApp"]

Message = MutableMapping[str, Any]


class ConsoleApp:
    """An ASGI application that imports nothing until its first request.

    Every component of Airflow loads the plugin, also those that answer nobody.
    """

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        await _made()(scope, receive, send)


@cache
def _made() -> "FastAPI":
    from modelyard.airflow.ui.routes import create_application

    return create_application()
