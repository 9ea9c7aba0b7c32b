"""Reads the graphs that MLRun stores, and builds the equal ones, or names everything that stands in the way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.graph import Graph
from modelyard.graphs.interchange.findings import Finding, ImportRefused
from modelyard.graphs.interchange.mlrun_shapes import misshapen
from modelyard.graphs.interchange.mlrun_steps import MlrunSteps
from modelyard.graphs.spec import CycleSpec, GraphSpec, StepSpec

__all__ = ["graph_from_mlrun"]

_OF_GRAPH = {
    *("kind", "engine", "steps", "on_error", "allow_cyclic", "max_iterations", "name"),
    # what has to do with MLRun's own service, and not with what the graph answers
    *("track_models", "model_endpoints_names", "model_endpoints_routes_names", "final_step", "default_final_step"),
    *("shared_models", "shared_max_processes", "shared_max_threads", "pool_factor", "comment"),
}


def graph_from_mlrun(source: str | Path | Mapping[str, Any], *, name: str = "", module: str = "") -> Graph:
    """Return the graph that MLRun's stored specification describes.

    Steps become steps, routers and voting ensembles groups of ours, error steps error handlers, choices by field
    choices, merges merges, remote steps HTTP calls. The classes and functions that were written for MLRun run as they
    are, by its conventions. Child functions become parts of one process.

    Parameters
    ----------
    source
        The specification: YAML or JSON text, a file that holds it, or plain data: a function (``spec.graph``), what its
        pod is given (``graph`` and ``parameters``), or the graph alone.
    name
        The graph's name; by default the function's, or ``imported``.
    module
        Where names without a module are: the project's file, as a dotted path.

    Raises
    ------
    ImportRefused
        It holds something that has no equal here; every such thing is named with its place.

    Examples
    --------
    >>> graph = graph_from_mlrun('''
    ... engine: async
    ... steps:
    ...   negate: {kind: task, handler: neg, input_path: x, result_path: y}
    ...   show: {kind: task, handler: builtins.repr, after: [negate], responder: true}
    ... ''', module="operator")
    >>> graph.test({"x": 3})
    "{'x': 3, 'y': -3}"
    """
    data = _data(source)
    place, found, parameters, own = _graph_in(data)
    wrong = [*misshapen(found, place), *_wrong_parameters(parameters)]
    if wrong:
        raise ImportRefused("MLRun", wrong)
    reader = _Reader(found, place, module)
    spec = reader.spec(name or own or "imported", dict(parameters))
    if reader.findings:
        raise ImportRefused("MLRun", reader.findings)
    try:
        graph = Graph.from_spec(spec)
        graph.check()
    except GraphInvalid as error:
        raise ImportRefused(
            "MLRun", [Finding(place, f"the graph breaks a rule here: {error.what}", error.mend)]
        ) from error
    return graph


def _data(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    if not isinstance(source, str | Path):
        raise ImportRefused(
            "MLRun", [Finding("(source)", f"it is a text, path or mapping, not {type(source).__name__}")]
        )
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
        if isinstance(source, str) and "\n" not in source and source.endswith((".yaml", ".yml", ".json")):
            text = Path(source).read_text("utf-8")
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ImportRefused("MLRun", [Finding("(source)", f"it cannot be read: {error}")]) from None
    if not isinstance(data, Mapping):
        raise ImportRefused("MLRun", [Finding("(source)", f"it is a mapping, not {type(data).__name__}")])
    return data


def _graph_in(data: Mapping[str, Any]) -> tuple[str, Any, Any, str]:
    """Return the place of the graph in the data, the graph, its parameters, and the function's name."""
    metadata = data.get("metadata")
    own = str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
    if isinstance(data.get("spec"), Mapping) and "graph" in data["spec"]:
        return "spec.graph", data["spec"]["graph"], data["spec"].get("parameters") or {}, own
    if "graph" in data:
        return "graph", data["graph"], data.get("parameters") or {}, own
    return "graph", data, {}, own


def _wrong_parameters(parameters: Any) -> list[Finding]:
    if isinstance(parameters, Mapping):
        return []
    return [Finding("parameters", f"it is a mapping, not {type(parameters).__name__}")]


class _Reader:
    """Reads one stored graph."""

    def __init__(self, graph: Mapping[str, Any], place: str, module: str) -> None:
        self.graph = graph
        self.place = place
        self.findings: list[Finding] = []
        self.steps = MlrunSteps(module, self.findings)

    def spec(self, name: str, parameters: dict[str, Any]) -> GraphSpec:
        """Return the specification of ours; it is worth nothing if there are findings."""
        graph = self.graph
        if graph.get("kind") == "router" or "routes" in graph:
            group = self.steps.group(str(graph.get("name") or "router"), graph, self.place, ("",))
            return GraphSpec(name, (group,) if group else (), parameters=parameters)
        for key, value in graph.items():
            if key not in _OF_GRAPH and value not in (None, "", [], {}, False):
                self.findings.append(Finding(f"{self.place}.{key}", "the field is not known"))
        stored: Mapping[str, Any] = graph.get("steps") or {}
        if not stored:
            self.findings.append(Finding(f"{self.place}.steps", "there is no step"))
        self.steps.names(stored, f"{self.place}.steps")
        steps = [made for key, step in stored.items() if (made := self._step(key, step, stored)) is not None]
        handler = None
        if graph.get("on_error"):
            handler = self.steps.handler(str(graph["on_error"]), stored, f"{self.place}.on_error", whole=True)
        self._check_responder(stored)
        return GraphSpec(name, tuple(self._ordered(steps)), handler, 0, parameters)

    def _step(self, key: str, step: Mapping[str, Any], stored: Mapping[str, Any]) -> StepSpec | None:
        place = f"{self.place}.steps.{key}"
        if step.get("kind") == "error_step" or self.steps.is_passed_over(step):
            return None
        back = [str(each) for each in step.get("cycle_from") or ()]
        given = step.get("after") or ()
        names = [str(each) for each in ([given] if isinstance(given, str) else given)]
        sources = [self.steps.source(each, key, stored) for each in names if each not in back]
        after = tuple(each for each in sources if each is not None)
        made = self.steps.step(key, step, place, after or ("",))
        if made is not None and back:
            self._cycles(key, step, back, stored, place)
        return self.steps.finished(made, step, stored, place) if made is not None else None

    def _cycles(
        self, key: str, step: Mapping[str, Any], back: list[str], stored: Mapping[str, Any], place: str
    ) -> None:
        """Note the ways back into a step; there a limit of N lets a step run N times, here N - 1 times again."""
        most = int(step.get("max_iterations") or self.graph.get("max_iterations") or 100)
        if most < 2:
            self.findings.append(Finding(f"{place}.max_iterations", f"a cycle that runs {most} times is none"))
            return
        for origin in back:
            source = self.steps.source(origin, key, stored) or origin
            node, _, outlet = source.partition(":")
            self.steps.cycles.setdefault(node, []).append(CycleSpec(key, most - 1, outlet))

    def _check_responder(self, stored: Mapping[str, Any]) -> None:
        responders = [key for key, step in stored.items() if step.get("responder")]
        if len(responders) > 1:
            told = ", ".join(responders)
            self.findings.append(Finding(f"{self.place}.steps", f"there are several responders: {told}"))
        if not responders and self.graph.get("engine", "async") != "sync":
            mend = "Mark the step whose result is the reply: responder: true."
            problem = "no step responds, so MLRun answers with the event's id alone"
            self.findings.append(Finding(f"{self.place}.steps", problem, mend))

    def _ordered(self, steps: list[StepSpec]) -> list[StepSpec]:
        """Return the steps in an order in which each comes after those that it follows, with their ways back."""
        waiting = {step.name: step for step in steps}
        ordered: list[StepSpec] = []
        while waiting:
            ready = [
                step
                for step in waiting.values()
                if not any(source.partition(":")[0] in waiting for source in step.after or ())
            ]
            if not ready:
                loop = ", ".join(waiting)
                mend = "Say which of the edges are ways back: cycle_from."
                self.findings.append(Finding(f"{self.place}.steps", f"there is a loop: {loop}", mend))
                break
            ordered += [self.steps.with_cycles(waiting.pop(step.name)) for step in ready]
        return ordered
