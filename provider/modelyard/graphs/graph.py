"""The graph: a chain of steps and models, defined once and run in tests, behind HTTP and in batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from modelyard.graphs.background import run_in_background
from modelyard.graphs.calls import StepCall, check_step, dotted_path, step_call
from modelyard.graphs.errors import GraphInvalid, ResourceMissing
from modelyard.graphs.event import Event
from modelyard.graphs.model_files import LoadedModel
from modelyard.graphs.model_step import ModelStep
from modelyard.graphs.plan import Plan
from modelyard.graphs.ports import Resources
from modelyard.graphs.runtimes import runtime
from modelyard.graphs.spec import GraphSpec, StepSpec

__all__ = ["Graph", "Step"]


@dataclass(slots=True)
class _Node:
    """What a graph remembers of one step."""

    name: str
    kind: str
    use: Any
    arguments: dict[str, Any]
    full_event: bool = False
    respond: bool = False


class Step:
    """One step of a graph, to continue from."""

    def __init__(self, graph: "Graph", name: str) -> None:
        self.graph = graph
        self.name = name

    def to(self, step: Any, *, name: str = "", full_event: bool = False, **arguments: Any) -> "Step":
        """Add a step after this one; see `Graph.to`."""
        return self.graph._append(self.name, step, name=name, full_event=full_event, arguments=arguments)  # noqa: SLF001

    def model(self, name: str, model: str) -> "Step":
        """Add a model step after this one; see `Graph.model`."""
        return self.graph._append_model(self.name, name, model)  # noqa: SLF001

    def respond(self) -> "Step":
        """Make this step's result the reply; a chain without a responder replies with its last result.

        Raises
        ------
        GraphInvalid
            Another step replies already.
        """
        self.graph._respond(self.name)  # noqa: SLF001
        return self

    def __repr__(self) -> str:
        return f"<step {self.name} of graph {self.graph.name}>"


class Graph:
    """A serving graph: what happens to an event between request and reply.

    Parameters
    ----------
    name
        How errors, endpoints and metrics call it.

    Examples
    --------
    >>> graph = Graph("doubling")
    >>> step = graph.to(lambda body: body["x"], name="parse").to(lambda x: {"double": 2 * x}, name="answer").respond()
    >>> graph.test({"x": 21})
    {'double': 42}
    """

    def __init__(self, name: str) -> None:
        if not name or not name.replace("-", "").replace("_", "").isalnum():
            raise GraphInvalid(name, "a graph's name is made of letters, digits, - and _")
        self.name = name
        self._nodes: list[_Node] = []
        self._opened: tuple[Resources | None, Plan] | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(node.name for node in self._nodes)

    @property
    def models(self) -> dict[str, str]:
        """The model reference of each model step."""
        return {node.name: node.use for node in self._nodes if node.kind == "model"}

    def to(self, step: Any, *, name: str = "", full_event: bool = False, **arguments: Any) -> Step:
        """Add the first step.

        Parameters
        ----------
        step
            A function of the body, a class with ``do(body)`` or ``do_event(event)`` (built once, when the graph
            opens), an object with such a method, or a dotted path to one of them; plain or ``async``.
        name
            Unique in the graph; by default the function's or class's own.
        full_event
            Hand the whole event over instead of its body; what the step returns is the next body either way.
        **arguments
            What the function gets besides the body, or the class is built with; JSON values, so that the graph can
            be deployed.

        Raises
        ------
        GraphInvalid
            There is a first step already, the name is taken, or it is no step.
        """
        return self._append("", step, name=name, full_event=full_event, arguments=arguments)

    def model(self, name: str, model: str) -> Step:
        """Add a model as the first step.

        Parameters
        ----------
        name
            Unique in the graph.
        model
            The model's reference: ``models:/name@alias`` or ``models:/name/version``.

        Raises
        ------
        GraphInvalid
            There is a first step already, or the name is taken.
        """
        return self._append_model("", name, model)

    def with_models(self, models: Mapping[str, str]) -> "Graph":
        """Return the same graph with other model references in the named model steps.

        Raises
        ------
        GraphInvalid
            One of the names is no model step.
        """
        for name in models:
            if name not in self.models:
                known = ", ".join(self.models) or "none"
                raise GraphInvalid(self.name, "there is no such model step", step=name, mend=f"Model steps: {known}.")
        other = Graph(self.name)
        for node in self._nodes:
            use = models.get(node.name, node.use)
            other._nodes.append(_Node(node.name, node.kind, use, node.arguments, node.full_event, node.respond))
        return other

    def open(self, resources: Resources | None = None) -> Plan:
        """Build the classes, load the models, and return what runs events.

        Parameters
        ----------
        resources
            What the graph needs from the outside.

        Raises
        ------
        GraphInvalid
            It has no steps, or a step does not fit.
        ResourceMissing
            It has a model step, and no model loader was handed over.
        """
        if not self._nodes:
            raise GraphInvalid(self.name, "it has no steps", mend="Add one: graph.to(function).")
        calls: dict[str, StepCall] = {}
        models: dict[str, LoadedModel] = {}
        for node in self._nodes:
            if node.kind == "model":
                if resources is None or resources.models is None:
                    raise ResourceMissing(self.name, node.name, "models")
                models[node.name] = resources.models.load(node.use)
                calls[node.name] = StepCall(ModelStep(models[node.name]).do, is_async=False, full_event=False)
            else:
                calls[node.name] = step_call(self.name, node.name, node.use, node.arguments, full_event=node.full_event)
        return Plan(self.name, calls, models)

    def test(
        self,
        body: Any = None,
        *,
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> Any:
        """Return the reply to one event, computed here: breakpoints in steps work.

        The graph opens at the first call and stays open. Without `resources`, models come from the registry of the
        project in the current folder.

        Parameters
        ----------
        body
            What the first step takes.
        path, method, headers
            How the event pretends to have arrived.
        resources
            What the graph needs from the outside.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        plan = self._plan(resources)
        event = Event(body, path=path, method=method, headers=headers)
        return run_in_background(plan.run_async(event)) if plan.is_async else plan.run(event)

    def serve(self, *, port: int = 0, host: str = "127.0.0.1", resources: Resources | None = None) -> None:
        """Answer HTTP requests until interrupted (Ctrl+C); for a notebook or an IDE.

        Parameters
        ----------
        port
            0 takes a free one; the address is printed.
        host
            This machine only, unless you say otherwise.
        resources
            What the graph needs from the outside; as for `test`.
        """
        runtime("serve")(self._plan(resources), port=port, host=host)

    def to_spec(self) -> GraphSpec:
        """Return the graph as data.

        Raises
        ------
        GraphInvalid
            A step is not importable by name (a lambda, a function in a function, an object) or has arguments that
            are not JSON.
        """
        return GraphSpec(self.name, tuple(self._spec_of(node) for node in self._nodes))

    @classmethod
    def from_spec(cls, spec: GraphSpec | Mapping[str, Any]) -> "Graph":
        """Return the graph that `spec` describes; the inverse of `to_spec`.

        Raises
        ------
        GraphInvalid
            The data describes no graph.
        """
        try:
            known = spec if isinstance(spec, GraphSpec) else msgspec.convert(spec, GraphSpec)
        except msgspec.ValidationError as error:
            name = str(spec.get("name", "")) if isinstance(spec, Mapping) else ""
            raise GraphInvalid(name, f"the specification is not one of a graph: {error}") from None
        graph, step = cls(known.name), ""
        for each in known.steps:
            if each.kind == "model":
                graph._append_model(step, each.name, each.use)
            else:
                graph._append(
                    step, each.use, name=each.name, full_event=each.full_event, arguments=dict(each.arguments)
                )
            step = each.name
            if each.respond:
                graph._respond(step)
        return graph

    def _plan(self, resources: Resources | None) -> Plan:
        if self._opened is None or self._opened[0] is not resources:
            needed = runtime("resources")() if resources is None and self.models else resources
            self._opened = resources, self.open(needed)
        return self._opened[1]

    def _append(self, after: str, step: Any, *, name: str, full_event: bool, arguments: dict[str, Any]) -> Step:
        named = name or (step.replace(":", ".").rpartition(".")[2] if isinstance(step, str) else _own_name(step))
        self._check_place(after, named)
        check_step(self.name, named, step)
        return self._added(_Node(named, "call", step, arguments, full_event))

    def _append_model(self, after: str, name: str, model: str) -> Step:
        self._check_place(after, name)
        if not isinstance(model, str) or not model:
            raise GraphInvalid(self.name, f"a model is named by its reference, not {model!r}", step=name)
        return self._added(_Node(name, "model", model, {}))

    def _added(self, node: _Node) -> Step:
        self._nodes.append(node)
        self._opened = None
        return Step(self, node.name)

    def _check_place(self, after: str, name: str) -> None:
        if not name or name == "<lambda>":
            raise GraphInvalid(self.name, "a step without a name of its own needs one", mend="Say name='…'.")
        if name in self.steps:
            raise GraphInvalid(self.name, "there is a step of this name already", step=name, mend="Say name='…'.")
        last = self._nodes[-1] if self._nodes else None
        if (last.name if last else "") != after:
            rule = f"a chain has one step after each, and {self._follower(after)!r} is there already"
            raise GraphInvalid(self.name, rule, step=name, mend="Continue from the last step.")
        if last and last.respond:
            raise GraphInvalid(self.name, f"{last.name!r} has replied: nothing may follow it", step=name)

    def _follower(self, after: str) -> str:
        return self.steps[self.steps.index(after) + 1 if after else 0]

    def _respond(self, name: str) -> None:
        others = [node.name for node in self._nodes if node.respond and node.name != name]
        if others or name != self._nodes[-1].name:
            rule = f"{others[0]!r} replies already" if others else "only the last step of a chain replies"
            raise GraphInvalid(self.name, rule, step=name)
        self._nodes[-1].respond = True

    def _spec_of(self, node: _Node) -> StepSpec:
        if node.kind == "model":
            return StepSpec(node.name, "model", node.use, respond=node.respond)
        path = dotted_path(node.use)
        if not path:
            raise GraphInvalid(
                self.name,
                "the step cannot be found again in another process",
                step=node.name,
                mend="Make it a function or class at the top of a module, or give its dotted path.",
            )
        try:
            arguments = msgspec.json.decode(msgspec.json.encode(node.arguments))
        except TypeError as error:
            raise GraphInvalid(self.name, f"the arguments must be JSON values: {error}", step=node.name) from None
        return StepSpec(node.name, "call", path, arguments, node.full_event, node.respond)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {' → '.join(self.steps) or 'empty'}>"


def _own_name(step: Any) -> str:
    return str(getattr(step, "__name__", type(step).__name__))
