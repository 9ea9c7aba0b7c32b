"""Speaks HTTP/1.1 to a worker on this machine: whole requests out, whole answers back."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["GREETING", "Exchange", "Peer", "PeerLost", "exchange"]

GREETING = b"\n"
"""What a worker says first on a local connection: a request that nobody has accepted can be asked elsewhere."""
PATIENCE = 5.0
"""Seconds until a connection must be accepted: a worker may be busy with one request for a while."""

_DROPPED = {b"connection", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"keep-alive"}
_HEAD = 1 << 20
Fields = Iterable[tuple[bytes, bytes]]


class Exchange(NamedTuple):
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    reusable: bool


class PeerLost(Exception):
    """Raised when the other side does not answer.

    Parameters
    ----------
    sent
        Whether it may have got the request.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection was lost" if sent else "nobody answers")
        self.sent = sent


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: bytes,
    target: bytes,
    headers: Fields,
    body: bytes,
) -> Exchange:
    """Send one request over a connection and read the answer.

    Raises
    ------
    OSError, EOFError, ValueError
        The connection ended, or what came is no answer.
    """
    fields = b"".join(b"%b: %b\r\n" % field for field in headers if field[0] not in _DROPPED)
    writer.write(b"%b %b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b" % (method, target, fields, len(body), body))
    await writer.drain()
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    status = int(first.split(b" ", 2)[1])
    answered = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    known = dict(answered)
    if known.get(b"transfer-encoding") == b"chunked":
        content = await _chunks(reader)
    else:
        content = await reader.readexactly(int(known.get(b"content-length", b"0")))
    kept = [field for field in answered if field[0] not in _DROPPED and field[0] != b"date"]
    return Exchange(status, kept, content, known.get(b"connection") != b"close")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readline()
    return b"".join(pieces)


class Peer:
    """Another revision's workers, behind one local socket; connections are kept and used again.

    Parameters
    ----------
    path
        The socket's path.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._opening: set[asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = set()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: bytes, target: bytes, headers: Fields, body: bytes) -> Exchange:
        """Return the answer to one request.

        Raises
        ------
        PeerLost
            There is none.
        """
        while self._idle:
            kept = self._idle.pop()
            if not kept[0].at_eof() and not kept[1].is_closing():
                return await self._over(kept, method, target, headers, body)
            kept[1].close()
        return await self._over(await self._opened(), method, target, headers, body)

    def close(self) -> None:
        """Close the connections that are idle, and give up those that nobody has accepted."""
        while self._idle:
            self._idle.pop()[1].close()
        for opening in self._opening:
            opening.cancel()

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that somebody has accepted."""
        opening = asyncio.create_task(self._open())
        self._opening.add(opening)
        try:
            await asyncio.wait((opening,))
        finally:
            self._opening.discard(opening)
            opening.cancel()
        if opening.cancelled():
            raise PeerLost(sent=False)
        return opening.result()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        writer = None
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_HEAD)
                await reader.readexactly(len(GREETING))
        except BaseException as error:
            if writer is not None:
                writer.close()
            if isinstance(error, OSError | EOFError):  # a timeout is an OSError, too
                raise PeerLost(sent=False) from error
            raise
        return reader, writer

    async def _over(
        self,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        method: bytes,
        target: bytes,
        headers: Fields,
        body: bytes,
    ) -> Exchange:
        done = False
        try:
            answer = await exchange(*connection, method, target, headers, body)
            done = answer.reusable
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            raise PeerLost(sent=True) from error
        finally:
            if done:
                self._idle.append(connection)
            else:
                connection[1].close()
        return answer
