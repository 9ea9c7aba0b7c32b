"""Makes a callable of what a user gave as a step: a function, a class, an object, or a dotted path to one."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple, get_type_hints

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs.errors import GraphInvalid, OpeningFailed, ResourceMissing, StepNotFound
from modelyard.graphs.settings import StepSettings

__all__ = ["StepCall", "check_step", "dotted_path", "resolve", "step_call"]


_METHODS = ("do", "do_event")


class StepCall(NamedTuple):
    """A step that is ready to run.

    Parameters
    ----------
    function
        Takes the body, or the event.
    is_async
        Whether its result is awaited, or, if it yields, iterated asynchronously.
    full_event
        Whether it takes the event.
    yields
        Whether it is a generator: its result is several.
    batch
        What takes a whole list or array of bodies, if there is such a thing.
    takes, gives
        The annotated types; None if nothing is said.
    owner
        The object that was built of a class, to be opened and closed with the graph.
    """

    function: Callable[[Any], Any]
    is_async: bool = False
    full_event: bool = False
    yields: bool = False
    batch: Callable[[Any], Any] | None = None
    takes: Any = None
    gives: Any = None
    owner: Any = None


def resolve(path: str) -> Any:
    """Return what the dotted path ``package.module:name`` or ``package.module.name`` leads to.

    Raises
    ------
    StepNotFound
        The module cannot be found, or has no such name.

    Examples
    --------
    >>> resolve("operator:neg")(1)
    -1
    """
    module_name, colon, attribute = path.partition(":")
    if not colon:
        module_name, _, attribute = path.rpartition(".")
    if not module_name or not attribute:
        raise StepNotFound(path, "it is not a dotted path")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise StepNotFound(path, f"no module named {error.name!r}") from None
        raise
    for part in attribute.split("."):
        known = [name for name in dir(found) if not name.startswith("_")]
        try:
            found = getattr(found, part)
        except AttributeError:
            raise StepNotFound(path, f"{module_name} has no {part!r}", known, part) from None
    return found


def dotted_path(step: Any) -> str:
    """Return the dotted path that leads to `step`, or nothing if none does.

    Examples
    --------
    >>> dotted_path(dotted_path), dotted_path(lambda body: body)
    ('modelyard.graphs.calls:dotted_path', '')
    """
    if isinstance(step, str):
        return step
    module, name = getattr(step, "__module__", None), getattr(step, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return ""
    try:
        found = resolve(f"{module}:{name}")
    except StepNotFound:
        return ""
    return f"{module}:{name}" if found == step else ""


def step_call(
    graph: str, name: str, step: Any, arguments: Mapping[str, Any], *, full_event: bool, context: Any = None
) -> StepCall:
    """Return the callable of a step; a class is built here, once.

    A parameter called ``context`` gets `context`, unless the arguments say something else.

    Raises
    ------
    GraphInvalid
        It cannot be called with one body, or its class cannot be built with the arguments.
    """
    if isinstance(step, str):
        try:
            step = resolve(step)
        except StepNotFound as error:
            error.where = f"graph {graph}, step {name}"
            raise
    owner = None
    if inspect.isclass(step) and not _is_conversion(step):
        step = owner = _built(graph, name, step, arguments, context)
        arguments = {}
    check_step(graph, name, step)
    batch = getattr(step, "do_batch", None)
    for method in _METHODS:
        if callable(getattr(step, method, None)):
            full_event, step = full_event or method == "do_event", getattr(step, method)
            break
    inner = step if inspect.isroutine(step) else getattr(step, "func", None) or type(step).__call__
    yields = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
    is_async = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
    arguments = _with_context(step, arguments, context, first=1)
    _check_signature(graph, name, step, arguments)
    takes, gives = _types(inner)
    called = partial(step, **arguments) if arguments else step
    return StepCall(called, is_async, full_event, yields, batch, None if full_event else takes, gives, owner)


def _with_context(step: Any, arguments: Mapping[str, Any], context: Any, first: int) -> Mapping[str, Any]:
    if context is None or "context" in arguments:
        return arguments
    try:
        names = list(inspect.signature(step).parameters)[first:]
    except (ValueError, TypeError):  # a builtin that does not tell
        return arguments
    return {**arguments, "context": context} if "context" in names else arguments


def _types(function: Any) -> tuple[Any, Any]:
    """Return the types of the first parameter and of the result; None where nothing is said."""
    try:
        hints = get_type_hints(function)
        parameters = [each for each in inspect.signature(function).parameters if each != "self"]
    except (NameError, TypeError, ValueError, AttributeError):  # a builtin, or names that only a type checker knows
        return None, None
    takes = hints.get(parameters[0]) if parameters else None
    return (None if takes is Any else takes), (None if hints.get("return") is Any else hints.get("return"))


def check_step(graph: str, name: str, step: Any) -> None:
    """Refuse what can be no step.

    Raises
    ------
    GraphInvalid
        It is neither a dotted path nor callable nor an object with ``do`` or ``do_event``.
    """
    if not isinstance(step, str) and not callable(step) and not _has_method(step):
        rule = f"a step is a function, a class with do(body), or a dotted path to one, not {type(step).__name__}"
        raise GraphInvalid(graph, rule, step=name)


def _is_conversion(step: type) -> bool:
    """Whether the class is a function in everything but name: ``int``, ``str``, ``list``."""
    return step.__module__ == "builtins" and not _has_method(step)


def _has_method(step: Any) -> bool:
    return any(callable(getattr(step, method, None)) for method in _METHODS)


def _built(graph: str, name: str, step: type, arguments: Mapping[str, Any], context: Any) -> Any:
    if not _has_method(step):
        raise GraphInvalid(graph, f"the class {step.__name__} has no method do(body) or do_event(event)", step=name)
    arguments = _with_context(step, arguments, context, first=0)
    _check_signature(graph, name, step, arguments, positional=())
    try:
        return step(**arguments)
    except (GraphInvalid, ResourceMissing):
        raise
    except ModelyardError as error:
        # a class of ours refuses an argument: that is a fault of the graph's definition, and not of an event
        if error.error_kind is not ErrorKind.INVALID:
            raise
        place = f"{error.where}: " if error.where else ""
        raise GraphInvalid(graph, f"{place}{error.what}", step=name, mend=error.mend) from error
    except (TypeError, ValueError) as error:
        raise GraphInvalid(graph, f"its class raised {type(error).__name__}: {error}", step=name) from error
    except Exception as error:
        raise OpeningFailed(graph, f"the step {name!r}", error) from error


def _check_signature(
    graph: str, name: str, step: Any, arguments: Mapping[str, Any], positional: tuple[Any, ...] = (None,)
) -> None:
    try:
        signature = inspect.signature(step)
    except ValueError:  # a builtin that does not tell
        return
    try:
        signature.bind(*positional, **arguments)
    except TypeError as error:
        takes = "the body and the step's arguments" if positional else "the step's arguments"
        mend = f"Its signature is {signature}."
        settings = [each for key in arguments for each in get_close_matches(key, StepSettings.__struct_fields__, n=1)]
        if settings and settings[0] not in signature.parameters:
            mend += f" Did you mean the setting {settings[0]}?"
        raise GraphInvalid(graph, f"it must take {takes}: {error}", step=name, mend=mend) from None
