"""The operation ``call``: any function of the project."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modelyard.operations import OperationContext, operation
from modelyard.operations.declaration import RESULT_BYTES
from modelyard.operations.scalars import plain_scalar
from modelyard.projects.errors import CallResultInvalid, FunctionParametersInvalid
from modelyard.projects.opening import open_project
from modelyard.projects.user_code import calling

__all__ = ["CallResult", "call"]


class CallResult(msgspec.Struct, frozen=True):
    """What the function returned.

    Attributes
    ----------
    value
        The function's own result: a mapping, or the fields of a dataclass or struct; empty where it returned nothing.
    """

    value: dict[str, Any]


@operation(kind="call", side_effects="any")
def call(context: OperationContext, *, function: str, parameters: dict[str, Any] = {}) -> CallResult:  # noqa: B006
    """Call a function of the project.

    The function gets the parameters by name. If its first parameter is named ``context``, it gets the operation's
    context, too: key, scratch folder, log, progress.

    Parameters
    ----------
    function
        The function: its name in modelyard.yaml, or package.module:name.
    parameters
        The function's own parameters, by name.

    Examples
    --------
    $ modelyard call prepare --parameters year=2013
    """
    project = open_project(context.project)
    loaded = project.load_function(function)
    arguments = _bound(function, loaded, context, parameters)
    with calling(function, project.source):
        returned = loaded(*arguments.args, **arguments.kwargs)
    return CallResult(_as_mapping(function, returned))


def _bound(
    name: str, function: Callable[..., Any], context: OperationContext, parameters: Mapping[str, Any]
) -> inspect.BoundArguments:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some functions written in C do not tell; then only the call itself can.
        return inspect.Signature([inspect.Parameter("any", inspect.Parameter.VAR_KEYWORD)]).bind(**parameters)
    names = list(signature.parameters)
    takes_context = bool(names) and names[0] == "context"
    try:
        return signature.bind(*([context] if takes_context else []), **parameters)
    except TypeError as error:
        raise FunctionParametersInvalid(name, str(error), names[1:] if takes_context else names) from error


def _as_mapping(name: str, returned: object) -> dict[str, Any]:
    if returned is None:
        return {}
    try:
        plain = msgspec.to_builtins(returned, str_keys=True, enc_hook=plain_scalar)
    except (TypeError, NotImplementedError) as error:
        raise CallResultInvalid(name, f"must be of JSON values, {error}") from error
    if not isinstance(plain, dict):
        raise CallResultInvalid(name, f"must be a mapping of names to JSON values, got {type(returned).__name__}")
    size = len(msgspec.json.encode(CallResult(plain)))
    if size > RESULT_BYTES:
        raise CallResultInvalid(name, f"must be at most {RESULT_BYTES} bytes of JSON, got {size}")
    return plain
