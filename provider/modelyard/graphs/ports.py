"""Ports: what a graph needs from the outside, handed over in one object when it opens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.graphs.batching import Batching
from modelyard.graphs.event import Event

if TYPE_CHECKING:
    from modelyard.graphs.models.files import LoadedModel

__all__ = [
    "Channel",
    "FeatureReader",
    "MetricSink",
    "ModelLoader",
    "Recorder",
    "Resources",
    "SecretSource",
    "StepObserver",
]


class ModelLoader(Protocol):
    """Finds and loads models; called once per model step, when a graph opens."""

    def load(self, reference: str) -> "LoadedModel":
        """Return the model that `reference` names now; its ``name`` is the exact version."""
        ...


class FeatureReader(Protocol):
    """Looks features up; called per event, so it must answer from memory or a fast store."""

    def read(self, features: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return one row of `features` per key, in order; None where a feature has no value."""
        ...


class Recorder(Protocol):
    """Takes down what a model saw and said; must never block, and never raise into the graph."""

    def record(self, event: Event, step: str, rows: Sequence[Any], answers: Sequence[Any]) -> None:
        """Take down the rows and answers of one model step of one event."""
        ...


class Channel(Protocol):
    """Carries events to where somebody else takes them up."""

    def put(self, event: Event) -> None:
        """Hand one event over; returns when the channel answers for it."""
        ...


class SecretSource(Protocol):
    """Knows the secrets that the project names."""

    def secret(self, name: str) -> str:
        """Return the secret's value; raises if nobody set it."""
        ...


class MetricSink(Protocol):
    """Takes measured values; must never block, and never raise into the graph."""

    def emit(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Take one value."""


class StepObserver(Protocol):
    """Watches the steps; must never block, and never raise into the graph."""

    def step(self, name: str) -> Callable[[float, BaseException | None], None]:
        """Return what takes down each call of a step: how many seconds it took, and the error that it raised."""
        ...


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Everything a graph may need from the outside; what it does not need may be absent.

    Parameters
    ----------
    models, features, recorder, channels, secrets, metrics
        The ports; see their classes. A queue whose name is among the channels hands its events over there, and
        `Plan.take_up` takes them up again, in another process perhaps.
    threads
        How many steps run in threads at once.
    processes
        How many processes steps share; 0 is one for each processor, at most 4.

    Examples
    --------
    >>> Resources().models is None
    True
    """

    models: ModelLoader | None = None
    features: FeatureReader | None = None
    recorder: Recorder | None = None
    channels: Mapping[str, Channel] = field(default_factory=dict)
    secrets: SecretSource | None = None
    metrics: MetricSink | None = None
    batching: Batching | None = None
    observer: StepObserver | None = None
    threads: int = 32
    processes: int = 0
