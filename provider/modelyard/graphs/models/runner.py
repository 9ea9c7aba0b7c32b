"""Several models behind one step: which of them answer, where each runs, and what shape the reply has."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from modelyard.errors import ModelyardError
from modelyard.graphs.bodies import part_of
from modelyard.graphs.calls import resolve
from modelyard.graphs.context import Context
from modelyard.graphs.failures import StepTimeout
from modelyard.graphs.isolation import isolated
from modelyard.graphs.models.errors import ModelsFailed, ModelUnknown
from modelyard.graphs.models.model import Model
from modelyard.graphs.models.nodes import model_server, shipped
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.pools import ProcessWorkers, ThreadWorkers, payload_of

__all__ = ["ModelRunner"]

Place = Literal["inline", "thread", "process", "dedicated", "async"]
Shape = Literal["mapping", "list", "single"]
Call = Callable[[Any], Any]


class _Member(NamedTuple):
    """One model of a runner."""

    server: ModelServer
    place: str
    timeout: float


class ModelRunner(Model):
    """Asks several models about the same body, each in the place that suits it; MLRun's ModelRunnerStep.

    Models that run inline run one after the other, in order; the others at the same time. Each gets a copy of the body.

    Parameters
    ----------
    models
        Name → reference, dotted path, or a mapping: ``use`` (one of these), ``source``, ``arguments``,
        ``concurrency`` (``inline``, ``thread``, ``process`` for a shared pool, ``dedicated`` for a process of its own,
        ``async`` for a coroutine) and ``timeout`` (seconds; not inline).
    select
        Which models answer: a field of the body (dotted) with a name or a list of names, or the dotted path of a
        function of the body that returns them. By default all of them answer.
    shape
        ``mapping`` (name → answer), ``list`` (in the order of the selection) or ``single``: the answer of the one model
        that was selected.
    on_model_error
        ``fail`` fails the event with `ModelsFailed`, which names every failed model; ``answer`` puts
        ``{"error": {"type", "kind", "message"}}`` in place of its answer, and fails only if all models did.

    Raises
    ------
    ValueError
        An argument has a value that it cannot have.
    ModelsFailed
        A model failed; each one's own error is in ``failures``.
    ModelUnknown
        The selection names a model that is not there.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("several")
    >>> step = graph.model("run", ModelRunner, models={"negative": "operator:neg", "absolute": "operator:abs"})
    >>> graph.test(-3)
    {'negative': 3, 'absolute': 3}
    """

    platform: ClassVar[str] = "runner"
    predict_is_built: ClassVar[bool] = True

    def __init__(
        self,
        *,
        models: Mapping[str, Any],
        select: str | Callable[[Any], Any] = "",
        shape: Shape = "mapping",
        on_model_error: Literal["fail", "answer"] = "fail",
    ) -> None:
        if not isinstance(models, Mapping) or not models:
            raise ValueError(f"models maps names to models, not {models!r:.80}")
        if shape not in get_args(Shape):
            raise ValueError(f"shape is one of {', '.join(get_args(Shape))}, not {shape!r}")
        if on_model_error not in ("fail", "answer"):
            raise ValueError(f"on_model_error is fail or answer, not {on_model_error!r}")
        if shape == "single" and not select and len(models) > 1:
            raise ValueError("shape='single' needs a selection: say select=…")
        self._shape, self._on_model_error = shape, on_model_error
        self._select = _selection(select)
        self.members = {name: _member(name, given) for name, given in models.items()}
        self._threads = ThreadWorkers()
        self._processes: dict[str, ProcessWorkers] = {}
        waits = any(each.place != "inline" for each in self.members.values())
        predict: Call = self._predict_async if waits else self._predict
        self.predict = predict  # type: ignore[method-assign, assignment]
        vectorised = (
            not waits and on_model_error == "fail" and all(m.server.takes_batches for m in self.members.values())
        )
        if vectorised:
            self.predict_batch = self._predict_many  # type: ignore[method-assign]

    def load(self) -> None:
        """Load all models."""
        for name, member in self.members.items():
            member.server.attach(self.context.part(name))
        for member in self.members.values():
            member.server.load()
        self._calls = {name: self._call(name, member) for name, member in self.members.items()}

    def close(self) -> None:
        """Close all models, and end their workers."""
        for workers in self._processes.values():
            workers.close()
        self._threads.close()
        for member in self.members.values():
            member.server.__exit__()

    def ready_members(self) -> dict[str, bool]:
        """Return which of the models are ready."""
        return {name: member.server.ready() for name, member in self.members.items()}

    def _call(self, name: str, member: _Member) -> Call:
        server, place, seconds = member
        if place in ("inline", "async"):
            return server.do
        if place == "thread":
            return lambda body: self._threads.call(server.do, body, seconds)
        pool = name if place == "dedicated" else ""
        workers = self._processes.setdefault(pool, ProcessWorkers(1 if pool else 0))
        payload = payload_of(shipped(self.context.graph, server), {}, full_event=False)
        return lambda body: workers.call(payload, body, seconds)

    def _selected(self, body: Any) -> list[str]:
        if self._select is None:
            return list(self.members)
        said = self._select(body)
        names: list[str] = [said] if isinstance(said, str) else list(said or ())
        for name in names:
            if name not in self.members:
                raise ModelUnknown(self.context.step, name, list(self.members))
        if not names or (self._shape == "single" and len(names) != 1):
            raise ModelUnknown(self.context.step, ", ".join(names), list(self.members))
        return names

    def _predict(self, body: Any) -> Any:
        names = self._selected(body)
        answers: dict[str, Any] = {}
        failures: dict[str, Exception] = {}
        for name in names:
            try:
                answers[name] = self._calls[name](body if name == names[-1] else isolated(body))
            except Exception as error:  # noqa: BLE001 (whatever a model raises is told)
                failures[name] = error
        return self._reply(names, answers, failures)

    async def _predict_async(self, body: Any) -> Any:
        names = self._selected(body)
        answers: dict[str, Any] = {}
        failures: dict[str, Exception] = {}

        async def ask(name: str, given: Any) -> None:
            try:
                answers[name] = await self._waited(name, given)
            except Exception as error:  # noqa: BLE001 (whatever a model raises is told)
                failures[name] = error

        bodies = [body if name == names[-1] else isolated(body) for name in names]
        tasks = [
            asyncio.ensure_future(ask(name, given))
            for name, given in zip(names, bodies, strict=True)
            if self.members[name].place != "inline"
        ]
        try:
            await asyncio.sleep(0)  # the others start before an inline one takes the thread
            for name, given in zip(names, bodies, strict=True):
                if self.members[name].place == "inline":
                    await ask(name, given)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return self._reply(names, answers, failures)

    async def _waited(self, name: str, body: Any) -> Any:
        member = self.members[name]
        said = self._calls[name](body)
        if member.place == "inline":
            return said
        if member.place != "async" or not member.timeout:
            return await said
        limit = asyncio.timeout(member.timeout)
        try:
            async with limit:
                return await said
        except TimeoutError:
            if limit.expired():
                raise StepTimeout(member.timeout, "cancelled") from None
            raise

    def _predict_many(self, inputs: Any) -> Any:
        """Ask each model once about all of its rows."""
        rows = list(inputs)
        selected = [self._selected(row) for row in rows]
        found: list[dict[str, Any]] = [{} for _ in rows]
        for name, member in self.members.items():
            mine = [index for index, names in enumerate(selected) if name in names]
            if mine:
                answers = member.server.do_batch(isolated([rows[index] for index in mine]))
                for index, answer in zip(mine, answers, strict=True):
                    found[index][name] = answer
        return [self._reply(names, answers, {}) for names, answers in zip(selected, found, strict=True)]

    def _reply(self, names: Sequence[str], answers: dict[str, Any], failures: Mapping[str, Exception]) -> Any:
        if failures and (self._on_model_error == "fail" or len(failures) == len(names)):
            raise ModelsFailed({name: failures[name] for name in names if name in failures})
        for name, error in failures.items():
            answers[name] = {"error": _told(error)}
        if self._shape == "single":
            return answers[names[0]]
        return {name: answers[name] for name in names} if self._shape == "mapping" else [answers[n] for n in names]


def _told(error: Exception) -> dict[str, str]:
    kind = error.error_kind if isinstance(error, ModelyardError) else ModelsFailed.kind
    return {"type": type(error).__name__, "kind": str(kind.value), "message": str(error)}


def _selection(select: Any) -> Callable[[Any], Any] | None:
    if not select:
        return None
    if callable(select):
        return select  # type: ignore[no-any-return]
    if ":" in select:
        return resolve(select)  # type: ignore[no-any-return]
    return lambda body: part_of(body, select)


def _member(name: str, given: Any) -> _Member:
    said = dict(given) if isinstance(given, Mapping) else {"use": given}
    unknown = sorted(said.keys() - {"use", "source", "arguments", "concurrency", "timeout"})
    if unknown:
        raise ValueError(f"the model {name!r} has no setting {', '.join(unknown)}: use, source, arguments, …")
    place, timeout = said.get("concurrency", ""), float(said.get("timeout") or 0.0)
    if place and place not in get_args(Place):
        raise ValueError(f"concurrency of {name!r} is one of {', '.join(get_args(Place))}, not {place!r}")
    source = {"source": said["source"]} if said.get("source") else {}
    arguments = {**(said.get("arguments") or {}), **source}
    server = model_server("", said.get("use", ""), arguments, Context("", name, {}, None, {}))
    if server.style.yields:
        raise ValueError(f"the model {name!r} streams; a runner joins whole answers")
    place = place or ("async" if server.style.is_async else "inline")
    if server.style.is_async != (place == "async"):
        rule = (
            "a coroutine: concurrency is async" if server.style.is_async else "no coroutine: concurrency is not async"
        )
        raise ValueError(f"the model {name!r} is {rule}, not {place}")
    if timeout < 0 or (timeout and place == "inline"):
        raise ValueError(f"timeout of {name!r} is not negative, and not given inline")
    return _Member(server, place, timeout)
