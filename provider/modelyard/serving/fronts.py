"""Who answers what is neither an event at any path nor the Open Inference Protocol: pages, chat, declared endpoints."""

from typing import Protocol

from modelyard.graphs import Plan
from modelyard.serving.api.front import ApiFront
from modelyard.serving.chat import COMPLETIONS, MODELS, ChatFront
from modelyard.serving.events import EventFront
from modelyard.serving.inference.service import InferenceService
from modelyard.serving.limits import Admission, Limits
from modelyard.serving.page.front import DOCS, OPENAPI, PageFront
from modelyard.serving.replies import Reply, Streamed
from modelyard.serving.requests import Request
from modelyard.serving.web_sockets import Conversation

__all__ = ["Front", "Fronts"]


class Front(Protocol):
    """What answers requests."""

    async def answer(self, request: Request) -> Reply | Streamed:
        """Return the response to a request."""
        ...


class Fronts:
    """Finds who answers a path.

    Parameters
    ----------
    plan
        The open graph; it says which endpoints it declares, and whether it chats.
    service, events
        Who knows the models, and who runs the events.
    admission, limits
        Who is let in, and with how much.

    Attributes
    ----------
    page
        Answers browsers at ``/``.
    """

    def __init__(
        self, plan: Plan, service: InferenceService, events: EventFront, admission: Admission, limits: Limits
    ) -> None:
        self.page = PageFront(plan, service)
        self._at: dict[str, Front] = {DOCS: self.page, OPENAPI: self.page}
        self._chat: Front | None = None
        chat, endpoints = plan.definition.chat, plan.definition.endpoints
        if chat is not None:
            front = ChatFront(chat, events, admission)
            self._at |= {COMPLETIONS: front, MODELS: front}
            self._chat = front
        self._rest = ApiFront(endpoints, events, admission, limits) if endpoints else None

    def conversation(self, request: Request) -> Conversation:
        """Return how a WebSocket at a path converses.

        Raises
        ------
        EndpointNotFound, MethodNotAllowed, EndpointForbidden
            The graph declares endpoints, and none of them is one for a WebSocket there.
        ParameterRefused
            It is not as its endpoint says.
        """
        return self._rest.conversation(request) if self._rest else Conversation()

    def find(self, path: str) -> Front | None:
        """Return who answers a path; None if it is an event like any other."""
        found = self._at.get(path)
        if found is None and self._chat is not None and path.startswith(f"{MODELS}/"):
            return self._chat
        return found or self._rest
