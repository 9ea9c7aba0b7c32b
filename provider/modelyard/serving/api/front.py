"""Answers requests at the endpoints that a graph declares."""

from functools import partial
from typing import Any

import msgspec
import orjson

from modelyard.graphs import Endpoint
from modelyard.serving.api.errors import FieldMissing, FieldWrong, ReplyUnmappable
from modelyard.serving.api.routes import Routes
from modelyard.serving.api.values import mapped, parameters_of
from modelyard.serving.bodies import read_body
from modelyard.serving.errors import MediaTypeUnsupported
from modelyard.serving.events import EventFront
from modelyard.serving.limits import Admission, Limits
from modelyard.serving.replies import Reply, Streamed
from modelyard.serving.requests import Request
from modelyard.serving.web_sockets import Conversation

__all__ = ["ApiFront"]


class ApiFront:
    """Makes an event of a request as its endpoint says, and a response of the reply.

    Parameters
    ----------
    endpoints
        As declared.
    events
        Who runs the events.
    admission, limits
        Who is let in, and with how much.
    """

    def __init__(
        self, endpoints: tuple[Endpoint, ...], events: EventFront, admission: Admission, limits: Limits
    ) -> None:
        self._routes = Routes(endpoints)
        self._events = events
        self._admission = admission
        self._limits = limits

    async def answer(self, request: Request) -> Reply | Streamed:
        """Return the response to a request.

        Raises
        ------
        EndpointNotFound, MethodNotAllowed, EndpointForbidden
            No endpoint answers it.
        ParameterRefused, FieldMissing, FieldWrong
            It is not as its endpoint says.
        ReplyUnmappable
            The reply is not as the endpoint says.
        """
        endpoint, texts = self._routes.find(request.method, request.path)
        values = parameters_of(endpoint, texts, request.query)
        async with self._admission:
            if not values and not endpoint.query and not endpoint.body:
                reply = await self._events.answer(request)
            else:
                reply = await self._events.respond(await self._body(endpoint, values, request), request)
        if not endpoint.reply or not isinstance(reply, Reply) or reply.status >= 300 or reply.status == 204:
            return reply
        return reply._replace(body=self._mapped(endpoint, reply.body))

    def conversation(self, request: Request) -> Conversation:
        """Return how a WebSocket converses: parameters go beside the fields of each message, as its endpoint says.

        Raises
        ------
        EndpointNotFound, MethodNotAllowed, EndpointForbidden, ParameterRefused
            As for `answer`.
        """
        endpoint, texts = self._routes.find(request.method, request.path)
        values = parameters_of(endpoint, texts, request.query)
        bare = not values and not endpoint.query and not endpoint.body
        return Conversation(
            _same if bare else partial(_filled, endpoint=endpoint, values=values),
            partial(self._mapped, endpoint) if endpoint.reply else _same,
        )

    async def _body(self, endpoint: Endpoint, values: dict[str, Any], request: Request) -> dict[str, Any]:
        read = read_body(await request.body(), request.media_type, request.content_type, bounds=self._limits.table)
        if read.rows or isinstance(read.value, bytes | str):
            told = "This endpoint takes one JSON object: its fields are mapped, or parameters are put beside them."
            raise MediaTypeUnsupported(request.media_type or "text", told)
        return _filled(read.value, endpoint, values)

    def _mapped(self, endpoint: Endpoint, raw: bytes) -> bytes:
        try:
            reply = orjson.loads(raw)
            many = isinstance(reply, list) and self._events.plan.streams
            made = [mapped(each, endpoint.reply) for each in reply] if many else mapped(reply, endpoint.reply)
        except (FieldMissing, FieldWrong) as error:
            rule = "has nothing at its place" if isinstance(error, FieldMissing) else str(error)
            raise ReplyUnmappable(self._events.plan.graph, str(error.facts["field"]), rule) from None
        except orjson.JSONDecodeError:
            raise ReplyUnmappable(self._events.plan.graph, "$", "is not JSON") from None
        return msgspec.json.encode(made)


def _filled(body: Any, endpoint: Endpoint, values: dict[str, Any]) -> dict[str, Any]:
    """Return the event's body: what the endpoint takes of what came, and the parameters."""
    if endpoint.body:
        return {**mapped(body, endpoint.body), **values}
    if body is None:
        return values
    if not isinstance(body, dict):
        raise FieldWrong("$", f"is an object, into which the parameters go, not {type(body).__name__}")
    both = sorted(set(body) & (set(values) | set(endpoint.query)))
    if both:
        raise FieldWrong(both[0], "is in the body, and is a parameter: send it once")
    return {**body, **values}


def _same(value: Any) -> Any:
    return value
