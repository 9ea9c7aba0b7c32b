"""Runs classes and functions that were written for MLRun's graphs, by its conventions, inside a graph of ours."""

import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from modelyard.graphs.bodies import part_of, with_part
from modelyard.graphs.calls import resolve
from modelyard.graphs.context import Context, Response
from modelyard.graphs.errors import EventInvalid
from modelyard.graphs.event import Event

__all__ = ["MlrunContext", "MlrunHandler", "MlrunModel", "MlrunStep", "MlrunVote"]


class _Answer:
    """What ``context.Response(…)`` makes in MLRun."""

    def __init__(
        self, headers: Any = None, body: Any = None, content_type: str | None = None, status_code: int = 200
    ) -> None:
        self.headers, self.body, self.status_code = dict(headers or {}), body, status_code
        if content_type:
            self.headers["content-type"] = content_type


class MlrunContext:
    """The ``context`` that a class written for MLRun is given: its logger, parameters, secrets and replies.

    Parameters
    ----------
    context
        The step's own.
    """

    Response = _Answer
    is_mock = False
    verbose = False
    worker_id = 0
    current_function = ""

    def __init__(self, context: Context) -> None:
        self.logger = _Logger(context.logger)
        self.project = ""
        self._context = context

    def get_param(self, key: str, default: Any = None) -> Any:
        """Return a parameter of the graph."""
        return self._context.parameters.get(key, default)

    def get_secret(self, key: str) -> Any:
        """Return a secret's value."""
        return self._context.secret(key)

    def push_error(self, event: Any, message: str, source: str = "", **more: Any) -> None:
        """Log an error: there is no error stream."""
        del event, more
        self._context.logger.error("%s: %s", source or self._context.step, message)


class _Logger:
    """A logger whose calls may have keywords, as MLRun's have."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def __getattr__(self, level: str) -> Callable[..., None]:
        write = getattr(self._logger, level)

        def log(message: str, *words: Any, **more: Any) -> None:
            write(" ".join([message, *(f"{key}={value!r}" for key, value in more.items())]), *words)

        return log


def _given(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the common arguments that a class's constructor or a function takes."""
    parameters = inspect.signature(function).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return {name: value for name, value in known.items() if takes_all or name in parameters}


def _built(use: str, class_args: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Return what a path leads to; a class is built, and the arguments that begin with _ are functions by name."""
    found = resolve(use)
    if not inspect.isclass(found):
        return found
    arguments = {
        key[1:] if key.startswith("_") else key: resolve(value) if key.startswith("_") else value
        for key, value in class_args.items()
    }
    made: Any = found(**arguments, **_given(found, known))
    if hasattr(made, "post_init"):
        made.post_init("sync")
    return made


def _told(result: Any) -> Any:
    """Return a reply of MLRun's form as ours."""
    if hasattr(result, "status_code") and hasattr(result, "body"):
        return Response(result.body, int(result.status_code), dict(getattr(result, "headers", None) or {}))
    return result


class MlrunStep:
    """Runs one step that was written for MLRun: a class with ``do``, ``do_event`` or another method, or a function.

    The class is built with `class_args`, and with ``context``, ``name``, ``input_path``, ``result_path`` and
    ``full_event`` where it takes them; a function gets ``context`` where it takes it. The importer makes such steps;
    new code is better written for `Graph.to` directly.

    Parameters
    ----------
    use
        The dotted path of the class or function.
    class_args
        What the class is built with; names that begin with ``_`` hold dotted paths of functions.
    handler
        The method, if it is neither ``do_event`` nor ``do``.
    full_event
        Whether the method takes the event instead of its body.
    input_path, result_path
        Which part of the body it takes, and where its result goes.

    Raises
    ------
    PathMissing
        The body has no part at `input_path` (422).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("imported")
    >>> step = graph.to(MlrunStep, use="operator:neg", input_path="x", result_path="y").respond()
    >>> graph.test({"x": 3})
    {'x': 3, 'y': -3}
    """

    def __init__(
        self,
        *,
        use: str,
        class_args: Mapping[str, Any] | None = None,
        handler: str = "",
        full_event: bool = False,
        input_path: str = "",
        result_path: str = "",
        context: Context | None = None,
    ) -> None:
        own = context or Context("", "", {}, None, {})
        paths = {"input_path": input_path or None, "result_path": result_path or None}
        known = {"name": own.step, "context": MlrunContext(own), **paths, "full_event": full_event or None}
        made = _built(use, class_args or {}, known)
        if inspect.isroutine(made) or not hasattr(made, "__dict__"):
            self._call = made
            if not inspect.isbuiltin(made) and "context" in inspect.signature(made).parameters:
                self._call = partial(made, context=known["context"])
        else:
            if hasattr(made, "select_outlets"):
                raise ValueError(
                    f"the class {use} has select_outlets: follow the step with graph.choice, by the same function"
                )
            method = handler or next((each for each in ("do_event", "do") if hasattr(made, each)), "do")
            if not hasattr(made, method):
                raise ValueError(f"the class {use} has no method {method!r}")
            self._call = getattr(made, method)
            full_event = full_event or method == "do_event"
        self._full_event = full_event
        self._paths = (input_path, result_path)
        if inspect.iscoroutinefunction(self._call):
            vars(self)["do_event"] = self._do_async

    def do_event(self, event: Event) -> Any:
        """Return what the step says."""
        return self._placed(event, event.body, self._call(self._taken(event)))

    async def _do_async(self, event: Event) -> Any:
        return self._placed(event, event.body, await self._call(self._taken(event)))

    def _taken(self, event: Event) -> Any:
        if self._full_event:
            return event
        return part_of(event.body, self._paths[0]) if self._paths[0] else event.body

    def _placed(self, event: Event, body: Any, result: Any) -> Any:
        if self._full_event:
            return event if result is None else _told(result)
        return with_part(body, self._paths[1], result) if self._paths[1] else _told(result)


class MlrunHandler(MlrunStep):
    """Runs an error handler that was written for MLRun; ``event.error`` is always the exception itself.

    Parameters are those of `MlrunStep`.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("imported")
    >>> step = graph.to(lambda body: 1 / body, name="divide").on_error(MlrunHandler, use="builtins:repr")
    >>> graph.test(0)
    '0'
    """


class MlrunModel:
    """Runs a model server that was written for MLRun: ``load``, ``preprocess``, ``validate``, ``predict``, ….

    The last part of the path, or the body's ``operation``, says what is asked: ``infer`` or ``predict``, ``explain``,
    or a method ``op_<name>`` of the class. The reply to a prediction has ``id``, ``model_name``, ``outputs`` and
    ``timestamp``.

    Parameters
    ----------
    use
        The dotted path of the class.
    class_args
        What it is built with besides ``context`` and ``name``.
    name
        The model's name in replies.

    Raises
    ------
    EventInvalid
        There is no such operation, or a prediction is asked for without ``inputs`` (422).
    """

    def __init__(
        self,
        *,
        use: str,
        class_args: Mapping[str, Any] | None = None,
        name: str = "",
        context: Context | None = None,
    ) -> None:
        own = context or Context("", name, {}, None, {})
        self._name = name or own.step.rpartition(".")[2]
        known = {"name": self._name, "context": MlrunContext(own)}
        found = resolve(use)
        given = dict(class_args or {})
        self._model = found(**_given(found, given | known))
        # a class without MLRun's base gets what the base would have set
        for attribute, value in (given | known).items():
            if not hasattr(self._model, attribute):
                setattr(self._model, attribute, value)
        if not hasattr(self._model, "get_param"):
            self._model.get_param = given.get
        if hasattr(self._model, "load"):
            self._model.load()

    def do_event(self, event: Event) -> Any:
        """Return the model's reply."""
        body = event.body
        operation = event.path.rstrip("/").rpartition("/")[2]
        if operation in ("", self._name) and isinstance(body, Mapping):
            operation = str(body.get("operation") or "infer")
        own = getattr(self._model, f"op_{operation}", None)
        if own is not None:
            return _told(own(event))
        if operation == "explain":
            return self._replied(event, self._hook("explain", self._checked(body, operation)))
        if operation not in ("infer", "predict", "", self._name):
            raise EventInvalid(f"the model {self._name} has no operation {operation!r}", field="path")
        request = self._checked(body, "infer")
        begun = datetime.now(UTC)
        return self._replied(event, self._model.predict(request), begun)

    def _checked(self, body: Any, operation: str) -> Any:
        if hasattr(self._model, "preprocess"):
            body = self._model.preprocess(body, operation)
        if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
            raise EventInvalid("must be a list", field="inputs", mend='Send {"inputs": [[…], …]}.')
        return self._model.validate(body, operation) if hasattr(self._model, "validate") else body

    def _hook(self, name: str, request: Any) -> Any:
        if not hasattr(self._model, name):
            raise EventInvalid(f"the model {self._name} has no operation {name!r}", field="path")
        return getattr(self._model, name)(request)

    def _replied(self, event: Event, outputs: Any, begun: datetime | None = None) -> Any:
        """Return the reply; what has `begun` as a prediction has a timestamp."""
        own = event.body.get("id") if isinstance(event.body, Mapping) else None
        reply = {"id": own or event.id, "model_name": self._name.partition(":")[0], "outputs": outputs}
        if begun is not None:
            reply["timestamp"] = begun.isoformat(sep=" ", timespec="microseconds")
        return self._model.postprocess(reply) if hasattr(self._model, "postprocess") else reply


class MlrunVote:
    """Votes over the replies of `MlrunModel`: the mean, or the label that weighs most, for each input.

    Unlike MLRun's it takes labels of any type, weighs in proportion whatever the weights add up to, and does what it is
    told rather than what the first request looked like.

    Parameters
    ----------
    vote_type
        ``regression`` or ``classification``.
    weights
        Model → weight from 0; by default all weigh alike, and a model that is not named has none.
    name
        The ensemble's name in replies.

    Raises
    ------
    ValueError
        The models have answered different numbers of inputs.
    """

    def __init__(
        self,
        *,
        vote_type: str,
        weights: Mapping[str, float] | None = None,
        name: str = "VotingEnsemble",
        members: tuple[str, ...] = (),
    ) -> None:
        if vote_type not in ("regression", "classification"):
            raise ValueError(f"vote_type is regression or classification, not {vote_type!r}")
        self._regression = vote_type == "regression"
        given = {member: float((weights or {}).get(member, 0.0 if weights else 1.0)) for member in members}
        if any(not weight >= 0 for weight in given.values()) or not any(given.values()):
            raise ValueError(f"weights are from 0, and not all 0: {dict(weights or {})}")
        self._weights = given
        self._name = name

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the joint reply."""
        del failures
        columns = [answer["outputs"] for answer in answers.values()]
        weights = [self._weights[member] for member in answers]
        outputs = [self._voted(row, weights) for row in zip(*columns, strict=True)]
        first = next(iter(answers.values()))
        reply = {"id": first["id"], "model_name": self._name, "outputs": outputs}
        return reply | ({"timestamp": first["timestamp"]} if "timestamp" in first else {})

    def _voted(self, values: tuple[Any, ...], weights: list[float]) -> Any:
        if self._regression:
            total = sum(weights)
            return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total
        votes: dict[tuple[bool, Any], float] = {}
        for value, weight in zip(values, weights, strict=True):
            key = (isinstance(value, bool), value)
            votes[key] = votes.get(key, 0.0) + weight
        best = max(votes.values())
        tied = [value for (_, value), weight in votes.items() if weight == best]
        try:
            return min(tied)  # as MLRun: the smallest of those with equally many votes
        except TypeError:
            return tied[0]
