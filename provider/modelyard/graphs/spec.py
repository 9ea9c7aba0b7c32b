"""A graph as data: what is written to disk, sent to a worker and read back."""

from typing import Any

import msgspec

from modelyard.graphs.definition import Kind
from modelyard.graphs.endpoints import Chat, Endpoint
from modelyard.graphs.settings import StepSettings

__all__ = ["CycleSpec", "GraphSpec", "HandlerSpec", "StepSpec"]


class HandlerSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An error handler as data.

    Parameters
    ----------
    use
        The code's dotted path; empty if the event simply goes on.
    name
        How errors call it; by default the code's own name.
    continue_at
        The step that goes on with its result; empty makes the result the reply.
    arguments
        What the code gets besides the event.
    """

    use: str = ""
    name: str = ""
    continue_at: str = ""
    arguments: dict[str, Any] = {}


class CycleSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A way back as data.

    Parameters
    ----------
    to
        The step to go back to.
    bound
        How often one event may go this way; 0 takes the graph's `cycle_bound`.
    outlet
        Of a choice: the outlet that leads back.
    """

    to: str
    bound: int = 0
    outlet: str = ""


class StepSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step as data.

    Parameters
    ----------
    name
        Unique in its graph.
    kind
        ``call`` runs project code, ``model`` asks a model; the others direct events.
    use
        The code's dotted path, the model's reference, or the field that a choice looks at.
    arguments
        What the code is called or constructed with, besides the body.
    full_event
        Whether the code takes the whole event instead of its body.
    respond
        Whether its result is the reply.
    after
        Where its events come from: steps, or ``choice:outlet``; an empty text is the graph's input. By default the
        step before, in the order of the list.
    settings
        See `StepSettings`.
    on_error
        Who looks at its errors.
    cycles
        Ways back from here.
    options
        What its kind can be told besides.
    graph
        The graph in the graph.
    members
        Of a router or ensemble: what it routes to or combines.
    """

    name: str
    kind: Kind
    use: str = ""
    arguments: dict[str, Any] = {}
    full_event: bool = False
    respond: bool = False
    after: tuple[str, ...] | None = None
    settings: StepSettings | None = None
    on_error: HandlerSpec | None = None
    cycles: tuple[CycleSpec, ...] = ()
    options: dict[str, Any] = {}
    graph: "GraphSpec | None" = None
    members: tuple["StepSpec", ...] = ()


class GraphSpec(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A graph as data; JSON with `msgspec.json.encode`.

    Parameters
    ----------
    name
        The graph's name.
    steps
        The steps, in the order of declaration.
    on_error
        Who looks at the errors that no step's own handler takes.
    cycle_bound
        How often a way back may be taken where it does not say.
    parameters
        What steps read as ``context.parameters``.
    endpoints
        Where the graph answers over HTTP; without any, everywhere.
    chat
        Whether, and as which model, it answers chat completions.
    """

    name: str
    steps: tuple[StepSpec, ...]
    on_error: HandlerSpec | None = None
    cycle_bound: int = 0
    parameters: dict[str, Any] = {}
    endpoints: tuple[Endpoint, ...] = ()
    chat: Chat | None = None
