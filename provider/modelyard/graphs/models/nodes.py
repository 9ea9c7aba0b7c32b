"""What a model step of a graph means: which class serves it, from which references, called how."""

import inspect
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import finalize

from modelyard.errors import ModelyardError
from modelyard.graphs.calls import StepCall, resolve
from modelyard.graphs.context import Context
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.models.estimators import EstimatorModel
from modelyard.graphs.models.functions import FunctionModel
from modelyard.graphs.models.model import Model
from modelyard.graphs.models.server import ModelServer, Serving
from modelyard.graphs.models.shipping import ShippedModel

__all__ = ["is_code", "model_call", "model_references", "model_server", "with_model_references"]

_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_SERVING = ("default", "operation_field", "version_field", "versions", "warm_up")


class _Kind(NamedTuple):
    """The class that serves, and what it is told besides its arguments."""

    model: type[Model]
    given: dict[str, Any]


def is_code(use: Any) -> bool:
    """Return whether `use` is a model's class, a function, or a dotted path to one, rather than a reference.

    Examples
    --------
    >>> is_code("models:/delays@champion"), is_code("delays"), is_code("package.module:Class"), is_code(Model)
    (False, False, True, True)
    """
    return bool(use) and (not isinstance(use, str) or _DOTTED.fullmatch(use) is not None)


def model_references(use: Any, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the model references of a step: under an empty name, or by version or by the runner's model.

    Parameters
    ----------
    use
        What the step was given: a reference, a class, a function, or a dotted path.
    arguments
        Its arguments.

    Examples
    --------
    >>> model_references("models:/delays@champion", {})
    {'': 'models:/delays@champion'}
    >>> model_references("", {"versions": {"1": "models:/delays/1", "2": {"source": "models:/delays/2"}}})
    {'1': 'models:/delays/1', '2': 'models:/delays/2'}
    """
    found: dict[str, str] = {}
    own = arguments.get("source", "") if is_code(use) else use
    if own:
        found[""] = own
    for name, given in _mapping(arguments, "versions").items():
        source = given if isinstance(given, str) else given.get("source", "")
        found |= {name: source} if source else {}
    for name, given in _mapping(arguments, "models").items():
        inner = {"use": given} if isinstance(given, str) else given
        nested = model_references(inner.get("use", ""), _inner_arguments(inner))
        found |= {f"{name}.{key}" if key else name: reference for key, reference in nested.items()}
    return found


def with_model_references(
    use: Any, arguments: Mapping[str, Any], references: Mapping[str, str]
) -> tuple[Any, dict[str, Any]]:
    """Return `use` and `arguments` with other references, by the names that `model_references` gives them."""
    changed = dict(arguments)
    if "" in references:
        if is_code(use):
            changed["source"] = references[""]
        else:
            use = references[""]
    for group in ("versions", "models"):
        known = arguments.get(group)
        if isinstance(known, Mapping):
            changed[group] = {name: _replaced(group, name, given, references) for name, given in known.items()}
    return use, changed


def model_server(
    graph: str, use: Any, arguments: Mapping[str, Any], context: Context, *, in_process: bool = False
) -> ModelServer:
    """Return the server of a model step, built but not loaded.

    Parameters
    ----------
    graph
        The graph's name.
    use
        A reference, a `Model` class, a function, or a dotted path.
    arguments
        What the step was told: of serving and of the model.
    context
        The step's surroundings.
    in_process
        Whether it runs in worker processes.

    Raises
    ------
    GraphInvalid
        It is no model, or its class cannot be built with the arguments.
    """
    step = context.step
    kind = _kind(graph, step, use, arguments)
    serving = _serving(graph, step, kind.given)
    try:
        return ModelServer(kind.model, serving, context, in_process=in_process)
    except (TypeError, ValueError, ModelyardError) as error:
        said = str(error).rstrip(".")
        takes = _signature(kind.model)
        raise GraphInvalid(graph, f"the model cannot be built: {said}", step=step, mend=takes) from error


def model_call(
    graph: str, use: Any, arguments: Mapping[str, Any], context: Context, *, concurrency: str = "inline"
) -> StepCall:
    """Return the call of a model step; its owner is the `ModelServer`, which loads when it is entered.

    Parameters
    ----------
    graph, use, arguments, context
        As for `model_server`.
    concurrency
        Where the engine will run the step; for worker processes the model is loaded here, and sent to them by file.

    Raises
    ------
    GraphInvalid
        It is no model, cannot be built, or cannot be sent to a process.
    """
    in_process = concurrency in ("process", "dedicated")
    server = model_server(graph, use, arguments, context, in_process=in_process)
    is_async, yields = server.style
    batch = server.do_batch if server.takes_batches else None
    function: Any = server.do_event
    if in_process:
        function = shipped(graph, server).do_event
    return StepCall(function, is_async, True, yields, batch, owner=server)


def shipped(graph: str, server: ModelServer) -> ShippedModel:
    """Return what stands for a server in worker processes; the server is loaded for it.

    Raises
    ------
    GraphInvalid
        It cannot be sent.
    """
    step = server.context.step
    if server.style.is_async or server.style.yields:
        raise GraphInvalid(graph, "a model that is a coroutine or streams runs on the event loop: inline", step=step)
    server.load()
    try:
        found = ShippedModel(server)
    except Exception as error:  # noqa: BLE001 (pickle raises whatever it likes)
        raise GraphInvalid(
            graph,
            f"the model cannot be sent to a process: {error}",
            step=step,
            mend="Make its class, and what it keeps, importable and picklable.",
        ) from None
    server.on_close(finalize(server, found.path.unlink, missing_ok=True))  # also when nobody closes the graph
    return found


def _kind(graph: str, step: str, use: Any, arguments: Mapping[str, Any]) -> _Kind:
    given = dict(arguments)
    if not is_code(use):
        if use and "source" in given:
            raise GraphInvalid(graph, "a model that is named by its reference has no source besides", step=step)
        return _Kind(EstimatorModel, {**given, "source": use} if use else given)
    found = resolve(use) if isinstance(use, str) else use
    if inspect.isclass(found):
        if not issubclass(found, Model) or (found.predict is Model.predict and not found.predict_is_built):
            rule = f"the class {found.__name__} is no model: it extends modelyard.graphs.models.Model, with predict"
            raise GraphInvalid(graph, rule, step=step)
        return _Kind(found, given)
    if not callable(found):
        rule = f"a model is a reference, a class or a function, not {type(found).__name__}"
        raise GraphInvalid(graph, rule, step=step)
    return _Kind(FunctionModel, {**given, "function": use})


def _serving(graph: str, step: str, given: Mapping[str, Any]) -> Serving:
    said = {name: given[name] for name in _SERVING if name in given}
    rest = {name: value for name, value in given.items() if name not in _SERVING}
    versions = said.pop("versions", None)
    default = str(said.pop("default", ""))
    if versions is None:
        if default:
            raise GraphInvalid(graph, "default names a version, and there are no versions", step=step)
        return Serving({"": rest}, **said)
    if not isinstance(versions, Mapping) or not versions:
        rule = f"versions maps each version to its reference or arguments, not {versions!r:.80}"
        raise GraphInvalid(graph, rule, step=step)
    told = {str(name): _version(graph, step, rest, each) for name, each in versions.items()}
    default = default or (next(iter(told)) if len(told) == 1 else "")
    if default not in told:
        rule = f"default names one of the versions {', '.join(told)}, not {default!r}"
        raise GraphInvalid(graph, rule, step=step)
    return Serving(told, default, **said)


def _version(graph: str, step: str, rest: Mapping[str, Any], given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {**rest, "source": given}
    if isinstance(given, Mapping):
        return {**rest, **given}
    raise GraphInvalid(graph, f"a version is a reference or arguments, not {given!r:.80}", step=step)


def _signature(kind: type[Model]) -> str:
    return f"{kind.__name__} takes {inspect.signature(kind)}."


def _mapping(arguments: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = arguments.get(name)
    if not isinstance(found, Mapping):
        return {}
    return {str(key): each for key, each in found.items() if isinstance(each, str | Mapping)}


def _inner_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    source = {"source": given["source"]} if "source" in given else {}
    return {**(given.get("arguments") or {}), **source}


def _replaced(group: str, name: str, given: Any, references: Mapping[str, str]) -> Any:
    """Return one version, or one model of a runner, with other references."""
    if not isinstance(given, Mapping):
        return references.get(name, given) if isinstance(given, str) else given
    if group == "versions" or "source" in given:
        return {**given, "source": references[name]} if name in references else given
    inner = {key[len(name) + 1 :]: each for key, each in references.items() if key.startswith(f"{name}.")}
    inner |= {"": references[name]} if name in references else {}
    if not inner:
        return given
    use, arguments = with_model_references(given.get("use", ""), given.get("arguments") or {}, inner)
    return {**given, "use": use, **({"arguments": arguments} if arguments else {})}
