"""A function as a model."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from modelyard.graphs.calls import resolve
from modelyard.graphs.models.model import Model

__all__ = ["FunctionModel"]


class FunctionModel(Model):
    """A Python function of the body as a model; what ``graph.model(name, function)`` makes.

    The function may be a coroutine; a generator streams.

    Parameters
    ----------
    function
        The function, or its dotted path.
    batch
        Whether it takes a list of bodies as well, and gives a list of as many answers.
    example
        A body to warm up with.
    **arguments
        What the function gets besides the body.

    Raises
    ------
    StepNotFound
        The dotted path leads nowhere.
    TypeError
        It is no function.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("g")
    >>> step = graph.model("half", lambda body, by: body / by, by=2)
    >>> graph.test(5)
    2.5
    """

    predict_is_built: ClassVar[bool] = True

    def __init__(
        self, *, function: str | Callable[..., Any], batch: bool = False, example: Any = None, **arguments: Any
    ) -> None:
        found = resolve(function) if isinstance(function, str) else function
        if not callable(found) or inspect.isclass(found):
            raise TypeError(f"function is a function or its dotted path, not {function!r}")
        self._example = example
        self.predict = partial(found, **arguments) if arguments else found  # type: ignore[method-assign]
        if batch:
            self.predict_batch = self.predict  # type: ignore[method-assign]

    def example(self) -> Any:
        """Return the body to warm up with."""
        return self._example
