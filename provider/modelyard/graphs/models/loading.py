"""Loads a model and asks it about its own example, before it answers requests."""

import inspect
from contextlib import suppress
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.graphs.background import run_in_background
from modelyard.graphs.models.errors import ModelNotLoaded, WarmUpFailed
from modelyard.graphs.models.hooks import Style
from modelyard.graphs.models.lives import Live
from modelyard.graphs.models.model import Model

__all__ = ["loaded", "waited"]


def loaded(model: Model, style: Style, *, warm_up: bool) -> Live:
    """Return a model that has been loaded, ready for requests; it is closed again if anything fails.

    Parameters
    ----------
    model
        The model, built.
    style
        How its step is called.
    warm_up
        Whether it is asked about its own example.

    Raises
    ------
    ModelNotLoaded
        Its own `load` raised something that is no error of this library.
    WarmUpFailed
        It did not answer its own example.
    """
    try:
        try:
            waited(model.load())
        except ModelyardError:
            raise
        except Exception as error:
            raise ModelNotLoaded(model.name, error) from error
        live = Live(model, style)
        if warm_up:
            _warm_up(live)
    except BaseException:
        with suppress(Exception):
            model.close()
        raise
    return live


def _warm_up(live: Live) -> None:
    try:
        example = waited(live.model.example())
        if example is None:
            return
        said = live.infer(example)
        if live.style.is_async:
            run_in_background(_exhausted(said))
        elif live.style.yields:
            for _ in said:
                pass
    except Exception as error:
        raise WarmUpFailed(live.model.name, error) from error


def waited(said: Any) -> Any:
    """Return what a hook said, awaited if it is a coroutine.

    Examples
    --------
    >>> async def ready():
    ...     return True
    >>> waited(ready()), waited(False)
    (True, False)
    """
    return run_in_background(said) if inspect.iscoroutine(said) else said


async def _exhausted(said: Any) -> Any:
    if hasattr(said, "__aiter__"):
        return [chunk async for chunk in said]
    return await said
