"""The step that serves a model: its versions and operations, warm-up, and the exchange of a model while it runs."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple, Self

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.context import Context
from modelyard.graphs.event import Event
from modelyard.graphs.failures import PlanClosed
from modelyard.graphs.models.errors import OperationUnknown, VersionUnknown
from modelyard.graphs.models.hooks import Style, overridden, style_of
from modelyard.graphs.models.lives import Live
from modelyard.graphs.models.loading import loaded, waited
from modelyard.graphs.models.model import Model
from modelyard.graphs.models.reloads import prepared
from modelyard.graphs.row_counts import RowCount

__all__ = ["ModelServer", "Serving", "asked_version"]

PREFIX = "/v2/models/"
_PREDICTIONS = ("infer", "predict")
HEADER = "x-model-version"


@dataclass(frozen=True, slots=True)
class Serving:
    """What a model step is told besides its model's arguments.

    Parameters
    ----------
    versions
        Version → the arguments that its model is built with; one without a name if there is only one.
    default
        The version that answers where a request names none.
    warm_up
        Whether each model is asked about its own example before it serves.
    operation_field, version_field
        Fields of a mapping body that name operation and version; they are taken out of it. Empty looks at no field.
    """

    versions: Mapping[str, Mapping[str, Any]]
    default: str = ""
    warm_up: bool = True
    operation_field: str = ""
    version_field: str = ""


class _Asked(NamedTuple):
    """What a request asks for."""

    body: Any
    version: str = ""
    operation: str = "infer"


class ModelServer:
    """Serves one model step.

    A request for ``/v2/models/<name>[/versions/<version>][/<operation>]``, where the name is the step's own or the
    graph's, goes to that version and operation; the header ``x-model-version`` names a version as well. Any other path
    is a prediction by the default version. A ``GET`` of the model's path is answered with its metadata.

    Parameters
    ----------
    kind
        The model's class.
    serving
        Versions and ways to ask for them.
    context
        The step's surroundings.
    in_process
        Whether the step runs in worker processes, which get a copy of the loaded models.

    Attributes
    ----------
    looks_at_body
        Whether a field of the body may name operation and version.
    """

    tells_where = True

    def __init__(self, kind: type[Model], serving: Serving, context: Context, *, in_process: bool = False) -> None:
        self.kind = kind
        self.serving = serving
        self.context = context
        self.in_process = in_process
        self._built = {version: self._new(version) for version in serving.versions}
        self.style = style_of(self._built[serving.default])
        self._start()

    def _start(self) -> None:
        step = self.context.step
        self._names = {step, step.rpartition(".")[2], self.context.graph}
        self.looks_at_body = bool(self.serving.operation_field or self.serving.version_field)
        self._lives: dict[str, Live] = {}
        self._closers: list[Callable[[], Any]] = []
        self._count = RowCount(self.context.graph, step)
        self._reloading, self._exchanging, self._closed = Lock(), Lock(), False

    def attach(self, context: Context) -> None:
        """Put the server into other surroundings; before it loads."""
        self.context = context
        for version, model in self._built.items():
            self._introduce(model, version)
        self._start()

    @property
    def name(self) -> str:
        """The exact name of the default version's model."""
        return self.model().name

    @property
    def digest(self) -> str:
        """The digest of the default version's files; empty if it has none."""
        return self.model().digest

    @property
    def leaves_body(self) -> bool:
        """Whether no request's body is changed by its model."""
        return self.kind.leaves_body

    @property
    def state(self) -> str:
        """``worker`` if the model keeps what it learns from requests in its process."""
        return self.kind.state

    @property
    def versions(self) -> tuple[str, ...]:
        """The names of the versions; one empty name if there is only one."""
        return tuple(self.serving.versions)

    def model(self, version: str = "") -> Model:
        """Return the model of a version that serves now.

        Raises
        ------
        VersionUnknown
            There is no such version.
        """
        version = version or self.serving.default
        if version not in self._built:
            raise VersionUnknown(self.context.step, version, self.versions)
        return self._lives[version].model if version in self._lives else self._built[version]

    def load(self) -> None:
        """Load and warm up all versions; a second time does nothing."""
        for version, model in self._built.items():
            if version not in self._lives:
                self._lives[version] = loaded(model, self.style, warm_up=self.serving.warm_up)
        self._default = self._lives[self.serving.default]

    def __enter__(self) -> Self:
        try:
            self.load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with self._exchanging:
            self._closed = True  # a reload that is under way then closes its model itself
        for live in self._lives.values():
            live.retire()
        while self._closers:
            self._closers.pop()()

    def on_close(self, closer: Callable[[], Any]) -> None:
        """Call something when the server closes."""
        self._closers.append(closer)

    def do(self, body: Any) -> Any:
        """Return what the default version predicts."""
        return self._default.infer(body)

    def do_event(self, event: Event) -> Any:
        """Return what the operation and version that the event asks for say."""
        if event.path == "/" and not self.looks_at_body and not event.headers:
            return self._default.infer(event.body)
        asked = self._asked(event)
        live = self._live(asked.version)
        operation = live.operations.get(asked.operation)
        if operation is None:
            return self._admin(asked)
        if operation.full_event:
            return operation.run(event if asked.body is event.body else event.branch(asked.body))
        return operation.run(asked.body)

    def asks_default(self, event: Event) -> bool:
        """Whether an event asks for nothing but a prediction of the default version."""
        if event.path == "/" and not self.looks_at_body and not event.headers:
            return True
        asked = self._asked(event)
        return asked.operation in _PREDICTIONS and asked.version in ("", self.serving.default)

    def do_batch(self, bodies: Any) -> Any:
        """Return what the default version predicts about many bodies, with one call where the model takes them so."""
        with self._default.held() as live:
            found = live.columns(bodies)
            return _many(live, bodies, self._count) if found is None else found

    def do_columns(self, bodies: Any, *, label_alone: bool = False) -> AnswerColumns | None:
        """Return what `do_batch` returns, as arrays; None if the model has none, or hooks look at each row."""
        with self._default.held() as live:
            return live.columns(bodies, label_alone=label_alone)

    def do_label(self, body: Any) -> Any:
        """Return what `do` returns, or its label alone where the model then computes less."""
        return self._default.label(body)

    @property
    def takes_batches(self) -> bool:
        """Whether `do_batch` says what `do` says row by row."""
        model = self.model()
        names = ("preprocess", "validate", "predict_batch", "postprocess", "ready")
        hooks = [overridden(model, name) for name in names]
        coroutines = any(inspect.iscoroutinefunction(each) for each in hooks if each)
        return (
            overridden(model, "predict_batch") is not None
            and not coroutines
            and not self.looks_at_body
            and not self.style.yields
        )

    def reload(self, reference: str = "", *, version: str = "") -> str:
        """Exchange a version's model for a newly loaded one, without dropping a request.

        The new model is built, loaded and warmed up aside; then new requests go to it, and those that are inside the
        old one finish there. If anything fails, the old one stays.

        Parameters
        ----------
        reference
            The reference to load; by default the one that the version was given, which may name another model now.
        version
            The version to exchange; by default the default version.

        Returns
        -------
        str
            The exact name of the model that serves from now on.

        Raises
        ------
        PlanClosed
            The graph is closed; a model that was loaded meanwhile is closed again.
        ReloadRefused
            It runs in worker processes, or answers in another way than before.
        VersionUnknown
            There is no such version.
        """
        found = prepared(self, reference, version=version)
        found.serve()
        return found.name

    def _exchange(self, version: str, live: Live) -> None:
        with self._exchanging:
            closed = self._closed
            old = self._lives.get(version)
            if not closed:
                self._lives[version] = live
                if version == self.serving.default:
                    self._default = live
        if closed:
            live.retire()
            raise PlanClosed(self.context.graph)
        if old is not None:
            old.retire(live)

    def ready(self) -> bool:
        """Return whether all versions are loaded and say that they are ready."""
        return len(self._lives) == len(self._built) and all(waited(live.model.ready()) for live in self._lives.values())

    def metadata(self, version: str = "") -> dict[str, Any]:
        """Return what the Open Inference Protocol tells about a model: name, versions, platform, inputs, outputs."""
        model = self.model(version)
        signature = model.signature()
        versions = [each for each in self.versions if each]
        return {
            "name": self.context.step.rpartition(".")[2],
            "versions": versions,
            "platform": model.platform,
            "inputs": [each.described() for each in signature.inputs],
            "outputs": [each.described() for each in signature.outputs],
        }

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the figures of each version's model."""
        return {version: dict(self.model(version).metrics()) for version in self.versions}

    def _asked(self, event: Event) -> _Asked:
        path, version, operation = event.path, "", "infer"
        if path.startswith(PREFIX):
            name, *rest = path[len(PREFIX) :].strip("/").split("/")
            if name in self._names:
                if len(rest) > 1 and rest[0] == "versions":
                    version, rest = rest[1], rest[2:]
                operation = "/".join(rest) or ("metadata" if event.method == "GET" else "infer")
        version = version or event.headers.get(HEADER, "")
        body = event.body
        if self.looks_at_body and isinstance(body, Mapping):
            named = {self.serving.operation_field, self.serving.version_field} - {""}
            operation = str(body.get(self.serving.operation_field) or operation)
            version = str(body.get(self.serving.version_field) or version)
            if named & body.keys():
                body = {key: value for key, value in body.items() if key not in named}
        return _Asked(body, version, operation)

    def _live(self, version: str) -> Live:
        if not version:
            return self._default
        if version not in self._lives:
            raise VersionUnknown(self.context.step, version, self.versions)
        return self._lives[version]

    def _admin(self, asked: _Asked) -> Any:
        """Return what is asked about the model itself, in the way that the step is called."""
        known = {
            "metadata": lambda: self.metadata(asked.version),
            "metrics": lambda: dict(self.model(asked.version).metrics()),
            "ready": lambda: {"name": self.context.step, "ready": self.ready()},
        }
        if asked.operation not in known:
            operations = [*self._live(asked.version).operations, *known]
            raise OperationUnknown(self.context.step, asked.operation, operations)
        return _as_called(known[asked.operation], self.style)

    def _new(self, version: str, reference: str = "") -> Model:
        arguments = dict(self.serving.versions[version])
        source = reference or arguments.pop("source", "")
        arguments.pop("source", None)
        model = self.kind(**arguments)
        model.source = source
        self._introduce(model, version)
        return model

    def _introduce(self, model: Model, version: str) -> None:
        step = self.context.step
        model.name, model.context = f"{step}, version {version}" if version else step, self.context

    def __getstate__(self) -> dict[str, Any]:
        models = {version: self.model(version) for version in self.versions}
        bare = Context(self.context.graph, self.context.step, self.context.parameters, None, {})
        return {"kind": self.kind, "serving": self.serving, "context": bare, "style": self.style, "models": models}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.kind, self.serving, self.context = state["kind"], state["serving"], state["context"]
        self.style, self._built, self.in_process = state["style"], state["models"], True
        self._start()
        for version, model in self._built.items():
            model.context = self.context
            self._lives[version] = Live(model, self.style)
        self._default = self._lives[self.serving.default]


def asked_version(server: ModelServer, event: Event) -> str | None:
    """Return the version of which an event asks for a prediction; None if it asks for something else."""
    asked = server._asked(event)  # noqa: SLF001 (the class is this module's)
    return (asked.version or server.serving.default) if asked.operation in _PREDICTIONS else None


def _many(live: Live, bodies: Any, count: RowCount) -> Any:
    model = live.model
    if overridden(model, "ready") or not overridden(model, "predict_batch"):
        return [live.infer(body) for body in bodies]
    first, check, finish = (overridden(model, name) for name in ("preprocess", "validate", "postprocess"))
    inputs: Any = bodies if first is None else [first(body) for body in bodies]
    if check is not None:
        for each in inputs:
            check(each)
    outputs = model.predict_batch(inputs)
    count.check(bodies, outputs)
    return outputs if finish is None else [finish(each) for each in outputs]


def _as_called(tell: Callable[[], Any], style: Style) -> Any:
    """Return what `tell` says as a step of this style gives it."""

    async def waited() -> Any:
        return await asyncio.to_thread(tell)  # it may wait for a coroutine of the very loop that runs this

    async def streamed() -> Any:
        yield await waited()

    if style.yields:
        return streamed() if style.is_async else iter((tell(),))
    return waited() if style.is_async else tell()
