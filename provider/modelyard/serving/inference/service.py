"""What a server of the Open Inference Protocol offers, whatever carries it: the one contract of its fronts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.graphs.models import Tensor
from modelyard.serving.inference.errors import InferenceRefused
from modelyard.serving.inference.messages import InferenceRequest, InferenceResponse

__all__ = [
    "FAILED_PARAMETER",
    "Caller",
    "InferenceService",
    "ModelMetadata",
    "ModelState",
    "ModelUnknown",
    "ServerMetadata",
    "VersionUnknown",
    "text_of",
]

FAILED_PARAMETER = "modelyard_failed"
"""The parameter of a response that names the members without which ensembles answered."""
EXTENSIONS = ("binary_tensor_data", "model_repository")


class ModelUnknown(ModelyardError):
    """Raised when no model of that name is served."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no model is called {name!r}", mend=near_name(name, list(known)), facts={"model": name})


class VersionUnknown(ModelyardError):
    """Raised when the model is served, but not this version of it."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, version: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the version {version!r} of {name} is not served",
            mend=f"Served: {', '.join(known)}." if known else "Ask without a version.",
            facts={"model": name, "version": version},
        )


def text_of(parameters: Mapping[str, Any], name: str) -> str:
    """Return a parameter that is text; nothing if it is not there.

    Raises
    ------
    InferenceRefused
        It is something else.

    Examples
    --------
    >>> text_of({"reference": "models:/late/4"}, "reference"), text_of({}, "reference")
    ('models:/late/4', '')
    """
    value = parameters.get(name, "")
    if not isinstance(value, str):
        raise InferenceRefused(f"the parameter {name!r} is text, not {type(value).__name__}")
    return value


class ServerMetadata(NamedTuple):
    """Who serves, and which extensions of the protocol it speaks."""

    name: str
    version: str
    extensions: tuple[str, ...] = EXTENSIONS


class ModelMetadata(NamedTuple):
    """What the protocol tells about one model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


class ModelState(NamedTuple):
    """One line of the repository's index: ``READY``, ``LOADING`` or ``UNAVAILABLE``, and why."""

    name: str
    version: str
    state: str
    reason: str = ""


class Caller(Protocol):
    """What the transport knows about a request besides its tensors."""

    @property
    def path(self) -> str:
        """Where it arrived; over gRPC the path that HTTP would have."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""
        ...

    @property
    def deadline(self) -> float | None:
        """On the clock of ``time.monotonic()``; None if the client waits for ever."""
        ...


class InferenceService(Protocol):
    """What the fronts ask.

    Raises
    ------
    ModelUnknown, VersionUnknown
        From every method that takes a name.
    """

    def ready(self) -> bool:
        """Return whether every model answers."""
        ...

    def server(self) -> ServerMetadata:
        """Return who serves."""
        ...

    def model_ready(self, name: str, version: str) -> bool:
        """Return whether one model answers."""
        ...

    def model(self, name: str, version: str) -> ModelMetadata:
        """Return what is known about one model."""
        ...

    async def infer(self, name: str, version: str, request: InferenceRequest, caller: Caller) -> InferenceResponse:
        """Return the model's answer."""
        ...

    def stream(
        self, name: str, version: str, request: InferenceRequest, caller: Caller
    ) -> AsyncIterator[InferenceResponse]:
        """Yield the model's answers as they come; one for a model that does not stream."""
        ...

    def index(self, *, ready: bool) -> Sequence[ModelState]:
        """Return the models and their states; with `ready` those that answer."""
        ...

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Load a model anew, without a dropped request."""
        ...

    async def unload(self, name: str) -> None:
        """Stop serving a model."""
        ...
