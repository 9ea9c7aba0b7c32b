"""What a worker must answer before it gets traffic."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import msgspec

from modelyard.deploy.local.settings import Smoke
from modelyard.serving.peer import Exchange, exchange

__all__ = ["SmokeFailed", "ask_smoke"]

_SHOWN = 300


class SmokeFailed(Exception):
    """Raised when a worker answers otherwise than it must."""


async def ask_smoke(probe: socket.socket, revision: str, smoke: Sequence[Smoke]) -> None:
    """Ask a worker who it is and then the smoke requests, over a connection of its own.

    Raises
    ------
    SmokeFailed
        It answered otherwise, or not at all.
    """
    reader, writer = await asyncio.open_connection(sock=probe)
    try:
        told = await _ask(reader, writer, b"GET", b"/v2", b"")
        if f'"revision":"{revision}"'.encode() not in told.body:
            raise SmokeFailed(f"it answered {told.status}")
        for number, each in enumerate(smoke):
            body = msgspec.json.encode(each.body)
            answer = await _ask(reader, writer, b"POST", each.path.encode(), body)
            _check(number, each, answer)
    finally:
        writer.close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: bytes, target: bytes, body: bytes
) -> Exchange:
    headers = ((b"host", b"probe"), (b"content-type", b"application/json"))
    try:
        return await exchange(reader, writer, method, target, headers, body)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise SmokeFailed("it answered nothing") from error


def _check(number: int, wanted: Smoke, answer: Exchange) -> None:
    said = answer.body.decode("utf-8", "replace")[:_SHOWN]
    if answer.status != wanted.status:
        raise SmokeFailed(f"smoke request {number} was answered with {answer.status}, not {wanted.status}: {said}")
    if wanted.reply is None:
        return
    try:
        reply = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        raise SmokeFailed(f"smoke request {number} was answered with no JSON: {said}") from None
    if not _holds(wanted.reply, reply):
        expected = msgspec.json.encode(wanted.reply).decode()[:_SHOWN]
        raise SmokeFailed(f"smoke request {number} was answered with {said}, which is not {expected}")


def _holds(wanted: Any, reply: Any) -> bool:
    """Return whether a reply is what was wanted; a mapping may hold more.

    Examples
    --------
    >>> _holds({"late": True}, {"late": True, "p": 0.9}), _holds({"late": True}, {"p": 0.9}), _holds([1], [1, 2])
    (True, False, False)
    """
    if isinstance(wanted, dict) and isinstance(reply, dict):
        return all(name in reply and _holds(value, reply[name]) for name, value in wanted.items())
    return bool(wanted == reply)
