"""The model that a graph asks: what a user's own model overrides, and when each of its methods is called."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from modelyard.graphs.context import Context
from modelyard.graphs.errors import ResourceMissing
from modelyard.graphs.models.files import LoadedModel
from modelyard.graphs.models.signatures import Signature

__all__ = ["Model", "OperationMark", "mark_of", "model_operation"]

_Method = TypeVar("_Method", bound=Callable[..., Any])
_MARK = "__modelyard_operation__"


class OperationMark(NamedTuple):
    """What `model_operation` says about a method."""

    name: str
    full_event: bool


def model_operation(*, name: str = "", full_event: bool = False) -> Callable[[_Method], _Method]:
    """Make a method of a `Model` an operation of its own.

    A request asks for it by its path, ``/v2/models/<model>/<operation>``, or by the body's field that the graph
    declares as ``operation_field``. The method gets the body as it came: no other hook runs before or after it.

    Parameters
    ----------
    name
        What requests call it; by default the method's name.
    full_event
        Hand the whole event over instead of its body.

    Examples
    --------
    >>> class Scorer(Model):
    ...     def predict(self, inputs):
    ...         return inputs["x"] > 0.5
    ...     @model_operation()
    ...     def threshold(self, body):
    ...         return 0.5
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("scores")
    >>> step = graph.model("scorer", Scorer)
    >>> graph.test({"x": 0.7}), graph.test({}, path="/v2/models/scorer/threshold")
    (True, 0.5)
    """

    def mark(method: _Method) -> _Method:
        setattr(method, _MARK, OperationMark(name or method.__name__, full_event))
        return method

    return mark


def mark_of(method: Any) -> OperationMark | None:
    """Return what `model_operation` said about a method; None if it is no operation."""
    found = getattr(method, _MARK, None)
    return found if isinstance(found, OperationMark) else None


class Model:
    """Base of all models in a graph; a subclass overrides `predict`, and what else it needs.

    The graph builds it with the arguments of the step, when it opens, and calls:

    1. `load`, once, before any request; then `predict` with `example`, to warm up;
    2. for each request `ready` (if overridden), `preprocess`, `validate`, `predict`, `postprocess`, in this order;
       for ``explain`` `preprocess`, `validate`, `explain`; for an operation of its own that method alone;
    3. `close`, once, when the graph closes or a reloaded model took its place and its last request is done.

    Every hook may be a coroutine. A `predict` that yields streams: `postprocess` is called with each chunk.

    Never: keep a request's data in the object (several requests may be inside at once); block in a coroutine.

    Attributes
    ----------
    name
        How errors call it: the exact version where it is known, else the step's name.
    source
        The reference that the step was given as ``source``; empty if none was.
    digest
        The digest of its files; empty if it has none.
    context
        The step's surroundings: secrets, resources, metrics, parameters.

    Examples
    --------
    >>> class Doubling(Model):
    ...     def __init__(self, factor: float = 2.0) -> None:
    ...         self.factor = factor
    ...     def validate(self, inputs):
    ...         if inputs < 0:
    ...             raise ValueError("negative")
    ...     def predict(self, inputs):
    ...         return inputs * self.factor
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("doubling")
    >>> step = graph.model("double", Doubling, factor=3)
    >>> graph.test(14)
    42
    """

    name: str = ""
    source: str = ""
    digest: str = ""
    context: Context

    state: ClassVar[str] = ""
    """``worker`` if the model keeps what it learns from requests in its process; `Graph.show` tells."""

    leaves_body: ClassVar[bool] = False
    """Whether the model never changes a body that it is given, so that several models may be handed the same one."""

    predict_is_built: ClassVar[bool] = False
    """Whether the class overrides `predict` in each object, when it is built, rather than as a method."""

    platform: ClassVar[str] = "python"
    """What the metadata of the Open Inference Protocol calls the kind of model."""

    def load(self) -> Any:
        """Bring the model into memory; called once, before any request. Raises to refuse service."""

    def close(self) -> None:
        """Give up what `load` took; called once, after the last request."""

    def ready(self) -> bool:
        """Return whether requests may come now; where it says no they get `ModelNotReady`."""
        return True

    def example(self) -> Any:
        """Return a body to warm up with, or None."""
        return None

    def preprocess(self, body: Any) -> Any:
        """Return what `predict` takes, made of a request's body."""
        return body

    def validate(self, inputs: Any) -> Any:
        """Raise if the model cannot take these inputs; what it returns is not looked at."""

    def predict(self, inputs: Any) -> Any:
        """Return what the model says; the one method that every model has."""
        raise NotImplementedError(f"{type(self).__name__} has no predict")

    def predict_batch(self, inputs: Any) -> Any:
        """Return what `predict` says about each of many inputs, with one call; override it where that is faster.

        Parameters
        ----------
        inputs
            A list of what `predict` takes; from `Graph.map` also the rows of a NumPy array or an Arrow batch, as one,
            unless `preprocess` is overridden.
        """
        return [self.predict(each) for each in inputs]

    def postprocess(self, outputs: Any) -> Any:
        """Return the reply, made of what `predict` returned."""
        return outputs

    def explain(self, inputs: Any) -> Any:
        """Return why the model says what it says; a model that does not override this has no such operation."""
        raise NotImplementedError(f"{type(self).__name__} has no explain")

    def metrics(self) -> Mapping[str, float]:
        """Return figures about the model itself, by name."""
        return {}

    def signature(self) -> Signature:
        """Return what goes in and comes out, as far as the model knows."""
        return Signature()

    def fetch(self, reference: str = "") -> LoadedModel:
        """Return the model that a reference names, through the graph's model loader; for `load`.

        Parameters
        ----------
        reference
            By default the step's ``source``.

        Raises
        ------
        ResourceMissing
            The graph was opened without a model loader.
        """
        ports = self.context.ports
        if ports.models is None:
            raise ResourceMissing(self.context.graph, self.context.step, "models")
        return ports.models.load(reference or self.source)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "context"}
