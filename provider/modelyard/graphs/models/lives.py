"""One live version of a model: what answers its requests, until another one takes its place and the last is done."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Optional

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.models.errors import ModelNotReady
from modelyard.graphs.models.hooks import Operation, Style, operations_of, overridden
from modelyard.graphs.models.model import Model

__all__ = ["Live"]

Call = Callable[[Any], Any]
_AROUND = ("ready", "preprocess", "validate", "postprocess")


class Live:
    """A loaded model with its operations.

    A model with a `close` of its own is closed after its last request: requests are counted for such models only.

    Parameters
    ----------
    model
        The loaded model.
    style
        How its step is called.
    """

    def __init__(self, model: Model, style: Style) -> None:
        self.model = model
        self.style = style
        self.operations = operations_of(model, style)
        self._lock = Lock()
        self._inside = 0
        self._retired = self._closed = False
        self._successor: Live | None = None
        self._close = overridden(model, "close")
        if self._close is not None:
            self.operations = {name: self._counted(name, each) for name, each in self.operations.items()}
        self.infer = self.operations["infer"].run
        self._is_bare = not any(overridden(model, name) for name in _AROUND)
        alone = getattr(model, "predict_label", None) if self._is_bare and self._close is None else None
        self.label: Call = alone or self.infer

    def columns(self, bodies: Any, *, label_alone: bool = False) -> AnswerColumns | None:
        """Return the answers to many bodies as arrays; None if the model has none, or hooks look at each row."""
        make = getattr(self.model, "predict_columns", None) if self._is_bare else None
        found: AnswerColumns | None = None if make is None else make(bodies, label_alone=label_alone)
        return found

    def retire(self, successor: Optional["Live"] = None) -> None:
        """Take no more requests: they go to `successor`; close the model when the last one is done."""
        with self._lock:
            self._successor, self._retired = successor, True
        self._close_when_done()

    @contextmanager
    def held(self) -> Iterator["Live"]:
        """Keep the model, or the one that took its place, from being closed meanwhile."""
        if self._close is None:
            yield self
        elif not self._enter():
            if self._successor is None:
                raise ModelNotReady(self.model.name, "it is closed")
            with self._successor.held() as successor:
                yield successor
        else:
            try:
                yield self
            finally:
                self._leave()

    def _enter(self) -> bool:
        with self._lock:
            if self._retired:
                return False
            self._inside += 1
            return True

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
        if self._retired:
            self._close_when_done()

    def _close_when_done(self) -> None:
        with self._lock:
            due = self._close is not None and not self._inside and not self._closed
            self._closed = self._closed or due
        if due and self._close is not None:
            self._close()

    def _next(self, name: str) -> Call:
        if self._successor is None:
            raise ModelNotReady(self.model.name, "it is closed")
        return self._successor.operations[name].run

    def _counted(self, name: str, operation: Operation) -> Operation:
        run = operation.run
        if self.style.yields:
            return operation._replace(run=self._counted_stream(name, run))

        def counted(argument: Any) -> Any:
            if not self._enter():
                return self._next(name)(argument)
            try:
                return run(argument)
            finally:
                self._leave()

        async def counted_async(argument: Any) -> Any:
            if not self._enter():
                return await self._next(name)(argument)
            try:
                return await run(argument)
            finally:
                self._leave()

        return operation._replace(run=counted_async if self.style.is_async else counted)

    def _counted_stream(self, name: str, run: Call) -> Call:
        def counted(argument: Any) -> Iterator[Any]:
            if not self._enter():
                yield from self._next(name)(argument)
                return
            try:
                yield from run(argument)
            finally:
                self._leave()

        async def counted_async(argument: Any) -> AsyncIterator[Any]:
            if not self._enter():
                async for chunk in self._next(name)(argument):
                    yield chunk
                return
            try:
                async for chunk in run(argument):
                    yield chunk
            finally:
                self._leave()

        return counted_async if self.style.is_async else counted
