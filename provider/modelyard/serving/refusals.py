"""The last answer of a connection: to a request that was refused before all of it was there."""

from modelyard.serving.asgi import Send
from modelyard.serving.replies import Reply
from modelyard.serving.requests import Request

__all__ = ["send_last"]


async def send_last(reply: Reply, send: Send, request: Request) -> None:
    """Send an answer at once, and let the connection end when the client has done sending.

    Parameters
    ----------
    reply
        The answer.
    send
        As ASGI has it.
    request
        What is answered.
    """
    headers = [*reply.fields, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    if reply.status == 413:  # after 408 nobody waits any longer for the same client
        await request.leave()
    await send({"type": "http.response.body", "body": b""})
