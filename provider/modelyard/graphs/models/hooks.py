"""Puts the hooks of a model into the functions that answer requests; what is not overridden costs nothing."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from modelyard.graphs.models.errors import ModelNotReady
from modelyard.graphs.models.model import Model, OperationMark, mark_of

__all__ = ["Operation", "Style", "operations_of", "overridden", "style_of"]

_HOOKS = ("preprocess", "validate", "predict", "postprocess", "explain", "ready")
Call = Callable[[Any], Any]
AsyncCall = Callable[[Any], Awaitable[Any]]


class Style(NamedTuple):
    """How a model's functions are called: awaited, iterated, or neither."""

    is_async: bool = False
    yields: bool = False


class Operation(NamedTuple):
    """One operation of a model that is ready to run; takes the body, or the event."""

    run: Call
    full_event: bool = False


class _Hooks(NamedTuple):
    """The hooks on the way from a body to a reply; None where the model has none of its own."""

    model: Model
    preprocess: Call | None
    validate: Call | None
    work: Call
    finish: Call | None
    ready: Callable[[], Any] | None


def overridden(model: Model, name: str) -> Callable[..., Any] | None:
    """Return a model's own hook; None if it is the one of `Model`."""
    found = getattr(model, name)
    return None if getattr(found, "__func__", found) is getattr(Model, name) else found


def style_of(model: Model) -> Style:
    """Return how a model's functions are called: async if one of them is, a stream if one of them yields."""
    hooks = [each for each in (overridden(model, name) for name in _HOOKS) if each is not None]
    hooks += [method for _, method in _marked(model)]
    streams = any(inspect.isasyncgenfunction(each) for each in hooks)
    return Style(
        streams or any(inspect.iscoroutinefunction(each) for each in hooks),
        streams or any(inspect.isgeneratorfunction(each) for each in hooks),
    )


def operations_of(model: Model, style: Style) -> dict[str, Operation]:
    """Return what requests may ask of a model, by name.

    Parameters
    ----------
    model
        The built model.
    style
        How its step is called: all operations are called alike.
    """
    first, check, ready = (overridden(model, name) for name in ("preprocess", "validate", "ready"))
    asked = _Hooks(model, first, check, model.predict, overridden(model, "postprocess"), ready)
    infer = Operation(_shaped(_line(asked, style), style))
    found = {"infer": infer, "predict": infer}
    explain = overridden(model, "explain")
    if explain:
        found["explain"] = Operation(_shaped(_line(asked._replace(work=explain, finish=None), style), style))
    for mark, method in _marked(model):
        alone = _Hooks(model, None, None, method, None, ready)
        found[mark.name] = Operation(_shaped(_line(alone, style), style), mark.full_event)
    return found


def _marked(model: Model) -> list[tuple[OperationMark, Callable[..., Any]]]:
    found: dict[str, tuple[OperationMark, Callable[..., Any]]] = {}
    for kind in reversed(type(model).__mro__):
        for name, member in vars(kind).items():
            mark = mark_of(member)
            if mark is not None:
                found[name] = (mark, getattr(model, name))
    return list(found.values())


def _line(hooks: _Hooks, style: Style) -> Call:
    """Return one function for all the hooks."""
    work = hooks.work
    if (hooks.preprocess, hooks.validate, hooks.finish, hooks.ready) == (None, None, None, None):
        return work
    if inspect.isasyncgenfunction(work) or (style.is_async and inspect.isgeneratorfunction(work)):
        return _async_stream(hooks)
    if inspect.isgeneratorfunction(work):
        return _stream(hooks)
    return _async_line(hooks) if style.is_async else _plain_line(hooks)


def _plain_line(hooks: _Hooks) -> Call:
    model, preprocess, validate, work, finish, ready = hooks

    def line(body: Any) -> Any:
        if ready is not None and not ready():
            raise ModelNotReady(model.name)
        inputs = body if preprocess is None else preprocess(body)
        if validate is not None:
            validate(inputs)
        outputs = work(inputs)
        return outputs if finish is None else finish(outputs)

    return line


def _stream(hooks: _Hooks) -> Call:
    begin = _plain_line(hooks._replace(work=_same, finish=None))
    work, finish = hooks.work, hooks.finish

    def line(body: Any) -> Iterator[Any]:
        for chunk in work(begin(body)):
            yield chunk if finish is None else finish(chunk)

    return line


def _async_line(hooks: _Hooks) -> AsyncCall:
    model = hooks.model
    preprocess, validate, work, finish = (_awaited(each) for each in hooks[1:5])
    ready = _awaited(hooks.ready)

    async def line(body: Any) -> Any:
        if ready is not None and not await ready():
            raise ModelNotReady(model.name)
        inputs = body if preprocess is None else await preprocess(body)
        if validate is not None:
            await validate(inputs)
        assert work is not None  # noqa: S101 (there is always one)
        outputs = await work(inputs)
        return outputs if finish is None else await finish(outputs)

    return line


def _async_stream(hooks: _Hooks) -> Call:
    begin = _async_line(hooks._replace(work=_same, finish=None))
    work, finish = hooks.work, _awaited(hooks.finish)

    async def line(body: Any) -> AsyncIterator[Any]:
        async for chunk in _chunks(work(await begin(body))):
            yield chunk if finish is None else await finish(chunk)

    return line


def _awaited(hook: Callable[..., Any] | None) -> Callable[..., Awaitable[Any]] | None:
    if hook is None or inspect.iscoroutinefunction(hook):
        return hook

    async def called(*arguments: Any) -> Any:
        return hook(*arguments)

    return called


def _shaped(function: Call, style: Style) -> Call:
    """Return `function` such that it is called as the step is: awaited, iterated, or neither."""
    is_stream = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if style.yields:
        if style.is_async:
            return function if inspect.isasyncgenfunction(function) else _one_async(function, is_stream=is_stream)
        return function if is_stream else _one(function)
    if style.is_async and not inspect.iscoroutinefunction(function):
        awaited = _awaited(function)
        assert awaited is not None  # noqa: S101 (there is a function)
        return awaited
    return function


def _one(function: Call) -> Call:
    def one(argument: Any) -> Iterator[Any]:
        yield function(argument)

    return one


def _one_async(function: Call, *, is_stream: bool) -> Call:
    async def several(argument: Any) -> AsyncIterator[Any]:
        async for chunk in _chunks(function(argument)):
            yield chunk

    async def one(argument: Any) -> AsyncIterator[Any]:
        said = function(argument)
        yield await said if inspect.isawaitable(said) else said

    return several if is_stream else one


async def _chunks(items: Any) -> AsyncIterator[Any]:
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _same(body: Any) -> Any:
    return body
