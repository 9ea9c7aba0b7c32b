"""Turns the steps of a stored MLRun graph into steps of ours, kind by kind, and collects what has no equal."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modelyard.graphs.calls import resolve
from modelyard.graphs.errors import StepNotFound
from modelyard.graphs.interchange.findings import Finding
from modelyard.graphs.settings import StepSettings
from modelyard.graphs.spec import CycleSpec, HandlerSpec, StepSpec

__all__ = ["MlrunSteps"]

_CODE = "modelyard.graphs.interchange.mlrun_code"
_STEPS = "modelyard.graphs.steps"
_KNOWN = {
    *("kind", "class_name", "class_args", "handler", "after", "full_event", "responder", "input_path", "result_path"),
    *("on_error", "max_iterations", "cycle_from", "cycle_to", "function", "name", "routes", "before", "base_step"),
    *("path", "shards", "retention_in_hours", "trigger_args", "options"),
    # what has to do with MLRun's own service, and not with what the graph answers
    *("model_endpoint_creation_strategy", "endpoint_type", "comment", "shape", "skip_context", "raise_exception"),
}
_EXPRESSION = re.compile(r"\s*\(.*\)\s*", re.DOTALL)
_KEY_PATH = re.compile(r"event(?:\.body)?((?:\[(?:'[^']*'|\"[^\"]*\")\])+)")
_CHOICES = ("mlrun.serving.steps.ChoiceByField", "ChoiceByField")
_REMOTES = ("$remote", "RemoteStep", "mlrun.serving.remote.RemoteStep", "mlrun.serving.RemoteStep")
_MERGES = ("mlrun.serving.merger.Merge", "mlrun.serving.Merge", "Merge")
_ROUTERS = ("", "*", "mlrun.serving.ModelRouter", "mlrun.serving.routers.ModelRouter", "ModelRouter")
_VOTES = ("mlrun.serving.VotingEnsemble", "mlrun.serving.routers.VotingEnsemble", "VotingEnsemble")
_FIELDS = {"DropFeatures", "Imputer", "OneHotEncoder", "DateExtractor", "MapValues"}


class MlrunSteps:
    """Makes the steps of one graph.

    Parameters
    ----------
    module
        Where names without a module are.
    findings
        Takes what has no equal.
    """

    def __init__(self, module: str, findings: list[Finding]) -> None:
        self.module = module
        self.findings = findings
        self.cycles: dict[str, list[CycleSpec]] = {}

    def find(self, place: str, problem: str, mend: str = "") -> None:
        """Take down something that has no equal."""
        self.findings.append(Finding(place, problem, mend))

    def names(self, stored: Mapping[str, Any], place: str) -> None:
        """Check the names that steps refer to each other by."""
        for key, step in stored.items():
            after = step.get("after") or ()
            for each in [after] if isinstance(after, str) else after:
                if each not in stored:
                    self.find(f"{place}.{key}.after", f"there is no step {each!r}")
            for field, value in step.items():
                if field not in _KNOWN and value not in (None, "", [], {}, False):
                    self.find(f"{place}.{key}.{field}", "the field is not known")

    def is_passed_over(self, step: Mapping[str, Any]) -> bool:
        """Whether a step does nothing within one process: a queue without an address."""
        return step.get("kind") == "queue" and not step.get("path")

    def source(self, name: str, follower: str, stored: Mapping[str, Any]) -> str | None:
        """Return the place that a step follows: a step, or the outlet of a choice that has the follower's name."""
        step = stored.get(name) or {}
        if step.get("kind") == "error_step":
            return None  # its handler continues there
        if self.is_passed_over(step):
            before = step.get("after") or ()
            first = before if isinstance(before, str) else next(iter(before), "")
            return self.source(first, name, stored) if first else ""
        if str(step.get("class_name") or "") in _CHOICES:
            return f"{name}:{follower}"
        return name

    def step(self, key: str, step: Mapping[str, Any], place: str, after: tuple[str, ...]) -> StepSpec | None:
        """Return one step, or None if it has no equal."""
        kind = str(step.get("kind") or "task")
        if kind == "router":
            return self.group(key, step, place, after)
        if kind == "queue":
            mend = "Leave the address out to go on in the same process, or write to the broker from a step of your own."
            self.find(f"{place}.path", f"events would leave for {step.get('path')!r}", mend)
            return None
        if kind != "task":
            self.find(f"{place}.kind", f"a step of the kind {kind} has no equal", _KIND_MENDS.get(kind, ""))
            return None
        return self._task(key, step, place, after)

    def _task(self, key: str, step: Mapping[str, Any], place: str, after: tuple[str, ...]) -> StepSpec | None:
        name = str(step.get("class_name") or "")
        arguments = dict(step.get("class_args") or {})
        if name.startswith("*"):
            return self.group(key, {**step, "class_name": name[1:]}, place, after)
        if name in _CHOICES:
            return StepSpec(key, "choice", str(arguments.get("field_name")), after=after)
        if name in _MERGES:
            return self._merge(key, arguments, place, after)
        if name in _REMOTES:
            return self._remote(key, step, arguments, place, after)
        if name.startswith("storey."):
            return self._storey(key, name, arguments, step, place, after)
        if not name.startswith("mlrun."):
            return self._own(key, step, name, arguments, place, after)
        mend = "Use Fields, from modelyard.graphs.steps." if name.rpartition(".")[2] in _FIELDS else ""
        self.find(f"{place}.class_name", f"{name} has no equal", mend or "Write it as a step of your own.")
        return None

    def _own(
        self,
        key: str,
        step: Mapping[str, Any],
        name: str,
        arguments: dict[str, Any],
        place: str,
        after: tuple[str, ...],
    ) -> StepSpec | None:
        handler = str(step.get("handler") or "")
        use = self._path(name or handler, f"{place}.{'class_name' if name else 'handler'}")
        given = self._arguments(arguments, place)
        told: dict[str, Any] = {"use": use}
        if given:
            told["class_args"] = given
        if name and handler:
            told["handler"] = handler
        for field in ("full_event", "input_path", "result_path"):
            if step.get(field):
                told[field] = step[field]
        return StepSpec(key, "call", f"{_CODE}:MlrunStep", told, after=after)

    def _arguments(self, arguments: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return what a class is built with, with paths for the names of functions."""
        found = {}
        for name, value in arguments.items():
            is_function = name.startswith("_") and isinstance(value, str)
            found[name] = self._path(value, f"{place}.class_args.{name}") if is_function else value
        return found

    def _path(self, name: str, place: str) -> str:
        """Return the dotted path that a name means; what leads nowhere is taken down."""
        if _EXPRESSION.fullmatch(name):
            self.find(place, f"the expression {name!r} would have to be evaluated", "Write it as a function.")
            return ""
        if not name:
            self.find(place, "there is no class and no handler")
            return ""
        if "." in name:
            module, _, attribute = name.rpartition(".")
            path = f"{module}:{attribute}"
        elif self.module:
            path = f"{self.module}:{name}"
        else:
            self.find(place, f"{name!r} has no module", "Say in which module it is: module=….")
            return ""
        try:
            resolve(path)
        except StepNotFound as error:
            self.find(place, error.what, error.mend)
        except ImportError as error:
            self.find(place, f"{path} cannot be imported: {error}")
        return path

    def _merge(self, key: str, arguments: Mapping[str, Any], place: str, after: tuple[str, ...]) -> StepSpec | None:
        path = arguments.get("key_path")
        options: dict[str, Any] = {"into": "list"}
        expected = arguments.get("expected_num_events")
        if expected and expected != len(after):
            self.find(
                f"{place}.class_args.expected_num_events", f"{expected} events are awaited from {len(after)} steps"
            )
        if path and path != "event.id":
            found = _KEY_PATH.fullmatch(str(path))
            if found is None:
                self.find(f"{place}.class_args.key_path", f"the expression {path!r} would have to be evaluated")
                return None
            options["key"] = ".".join(re.findall(r"['\"]([^'\"]*)['\"]", found[1]))
            options["limit"] = int(arguments.get("max_behind") or 64)
        return StepSpec(key, "merge", after=after, options=options)

    def _remote(
        self, key: str, step: Mapping[str, Any], given: Mapping[str, Any], place: str, after: tuple[str, ...]
    ) -> StepSpec | None:
        told: dict[str, Any] = {"url": given.get("url"), "method": str(given.get("method") or "POST").upper()}
        for name in ("url_expression", "body_expression", "headers_expression"):
            if given.get(name):
                mend = "Use the templates of HttpCall: path, query, headers and json."
                self.find(
                    f"{place}.class_args.{name}", f"the expression {given[name]!r} would have to be evaluated", mend
                )
        if not str(given.get("url") or "").startswith(("http://", "https://")):
            mend = "Give the address of the function."
            self.find(f"{place}.class_args.url", f"{given.get('url')!r} is no http address", mend)
        subpath = str(given.get("subpath") or "")
        if "$path" in subpath:
            self.find(f"{place}.class_args.subpath", "the event's own path would become part of the address")
        if subpath:
            told["path"] = f"/{subpath.lstrip('/')}"
        retries = given.get("retries")
        told["attempts"] = 1 + (6 if retries is None else int(retries))
        names = {"headers": "headers", "timeout": "seconds", "backoff_factor": "back_off"}
        told |= {ours: given[name] for name, ours in names.items() if given.get(name) is not None}
        if given.get("return_json") is False:
            told["answer"] = "text"
        settings = self._located({**given, **step})
        if given.get("max_in_flight"):
            settings = msgspec.structs.replace(settings or StepSettings(), max_in_flight=int(given["max_in_flight"]))
        return StepSpec(key, "call", f"{_STEPS}:HttpCall", told, after=after, settings=settings)

    def _located(self, step: Mapping[str, Any]) -> StepSettings | None:
        paths = str(step.get("input_path") or ""), str(step.get("result_path") or "")
        return StepSettings(*paths) if any(paths) else None

    def _storey(
        self, key: str, name: str, given: dict[str, Any], step: Mapping[str, Any], place: str, after: tuple[str, ...]
    ) -> StepSpec | None:
        last = name.rpartition(".")[2]
        settings = self._located({**given, **step})
        if last in ("Map", "Filter", "FlatMap"):
            function = given.get("_fn") or given.get("fn") or ""
            use = self._path(str(function), f"{place}.class_args._fn")
            kinds: dict[str, Any] = {"Map": "call", "Filter": "filter", "FlatMap": "flat_map"}
            return StepSpec(
                key, kinds[last], use, full_event=bool(given.get("full_event")), after=after, settings=settings
            )
        makers: dict[str, Callable[[], StepSpec | None]] = {
            "Flatten": lambda: StepSpec(key, "unbatch", after=after),
            "Rename": lambda: self._fields(key, {"rename": given.get("mapping")}, after, settings),
            "DropColumns": lambda: self._fields(key, {"drop": _listed(given.get("columns"))}, after, settings),
            "SampleWindow": lambda: self._sample(key, given, place, after),
        }
        if last not in makers:
            self.find(
                f"{place}.class_name",
                f"{name} has no equal",
                _STOREY_MENDS.get(last, "Write it as a step of your own."),
            )
            return None
        return makers[last]()

    def _fields(
        self, key: str, told: dict[str, Any], after: tuple[str, ...], settings: StepSettings | None
    ) -> StepSpec:
        return StepSpec(key, "call", f"{_STEPS}:Fields", told, after=after, settings=settings)

    def _sample(self, key: str, given: Mapping[str, Any], place: str, after: tuple[str, ...]) -> StepSpec | None:
        if given.get("key") or str(given.get("emit_period", "FIRST")).rpartition(".")[2] not in ("FIRST", "1"):
            self.find(f"{place}.class_args", "only the first of each window of all events is sampled here")
            return None
        return StepSpec(key, "filter", f"{_STEPS}:Sample", {"every": int(given.get("window_size") or 1)}, after=after)

    def group(self, key: str, step: Mapping[str, Any], place: str, after: tuple[str, ...]) -> StepSpec | None:
        """Return a router or ensemble with its routes."""
        name, arguments = str(step.get("class_name") or ""), dict(step.get("class_args") or {})
        routes: Mapping[str, Any] = step.get("routes") or {}
        members = tuple(self._model(route, each, f"{place}.routes.{route}") for route, each in routes.items())
        if not routes:
            self.find(f"{place}.routes", "there is no route")
        if name in _ROUTERS:
            default = next(iter(routes), "")
            told = {"field": "model", "default": default, "prefix": arguments.get("url_prefix") or "/v2/models"}
            return StepSpec(key, "router", "modelyard.graphs.routers:ByPath", told, after=after, members=members)
        if name in _VOTES:
            if not arguments.get("vote_type"):
                mend = "Say regression or classification."
                self.find(f"{place}.class_args.vote_type", "MLRun would decide by the first request", mend)
                return None
            told = {"vote_type": arguments["vote_type"], "name": str(step.get("name") or key)}
            if arguments.get("weights"):
                told["weights"] = arguments["weights"]
            return StepSpec(key, "ensemble", f"{_CODE}:MlrunVote", told, after=after, members=members)
        self.find(f"{place}.class_name", f"the router {name} has no equal", "See modelyard.graphs.routers.")
        return None

    def _model(self, route: str, step: Mapping[str, Any], place: str) -> StepSpec:
        name = str(step.get("class_name") or "")
        given = {key: value for key, value in (step.get("class_args") or {}).items() if value is not None}
        if name in _REMOTES:
            made = self._remote(route, step, given, place, ())
            return made or StepSpec(route, "call", "")
        if name.startswith("mlrun."):
            mend = "Use a model of the registry (models:/name@alias), or a class of your own with load and predict."
            self.find(f"{place}.class_name", f"the model server {name} has no equal", mend)
            return StepSpec(route, "call", "")
        told: dict[str, Any] = {"use": self._path(name, f"{place}.class_name"), "name": route}
        arguments = self._arguments(given, place)
        if arguments:
            told["class_args"] = arguments
        return StepSpec(route, "call", f"{_CODE}:MlrunModel", told)

    def handler(self, name: str, stored: Mapping[str, Any], place: str, *, whole: bool = False) -> HandlerSpec | None:
        """Return the error handler of a name."""
        step = stored.get(name)
        if not isinstance(step, Mapping) or step.get("kind") != "error_step":
            self.find(place, f"there is no error step {name!r}")
            return None
        made = self._own(name, step, str(step.get("class_name") or ""), dict(step.get("class_args") or {}), place, ())
        before = step.get("before") or ()
        following = [str(each) for each in ([before] if isinstance(before, str) else before)]
        following += [
            key for key, each in stored.items() if name in _listed(each.get("after")) and key not in following
        ]
        if len(following) > 1:
            self.find(place, f"the handler {name} continues at several steps: {', '.join(following)}")
        if whole and following:
            self.find(place, f"the handler of the whole graph continues at {following[0]}")
        arguments = {} if made is None else made.arguments
        return HandlerSpec(f"{_CODE}:MlrunHandler", name, following[0] if following else "", arguments)

    def finished(self, made: StepSpec, step: Mapping[str, Any], stored: Mapping[str, Any], place: str) -> StepSpec:
        """Return a step with its handler, and what else does not depend on its kind."""
        if step.get("responder"):
            made = msgspec.structs.replace(made, respond=True)
        if step.get("on_error"):
            handler = self.handler(str(step["on_error"]), stored, f"{place}.on_error")
            made = msgspec.structs.replace(made, on_error=handler)
        return made

    def with_cycles(self, made: StepSpec) -> StepSpec:
        """Return a step with its ways back."""
        found = self.cycles.get(made.name)
        return msgspec.structs.replace(made, cycles=tuple(found)) if found else made


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]


_KIND_MENDS = {
    "model_runner": "Use graph.model(name, ModelRunner, models={…}), from modelyard.graphs.models.",
    "hub_task": "Copy the step's code into the project.",
    "monitoring_application": "It belongs to MLRun's monitoring, and not to the graph.",
    "api_handler": "Let the first step read the request.",
    "flow": "Write it as a graph of its own, and give that to Graph.to.",
}
_STOREY_MENDS = {
    "Extend": "Write it as a function that returns {**body, …}.",
    "MapWithState": "Use MapByKey, from modelyard.graphs.steps.",
    "Reduce": "Use Fold, from modelyard.graphs.steps.",
    "Batch": "Use graph.batch(size, across=True, seconds=…).",
    "Choice": "Use graph.choice.",
    "SendToHttp": "Use HttpCall, from modelyard.graphs.steps.",
    "CSVTarget": "Use Writer, from modelyard.graphs.steps.",
    "ParquetTarget": "Use Writer, from modelyard.graphs.steps.",
}
