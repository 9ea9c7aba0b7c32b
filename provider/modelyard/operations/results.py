"""Result files: how a run ended, as JSON that every door reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import ErrorRecord
from modelyard.operations.atomic import write_atomically
from modelyard.operations.errors import ResultUnreadable
from modelyard.operations.states import RunState

__all__ = ["WorkResult", "encode_result", "read_result", "write_result"]


class WorkResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run ended.

    Parameters
    ----------
    state
        ``succeeded``, ``failed`` or ``cancelled``.
    result
        The operation's result where it succeeded.
    error
        What went wrong where it did not.
    """

    state: RunState
    result: dict[str, Any] | None = None
    error: ErrorRecord | None = None


def encode_result(ended: WorkResult) -> bytes:
    """Return the content of the result file."""
    return msgspec.json.format(msgspec.json.encode(ended), indent=2) + b"\n"


def write_result(
    path: Path,
    state: RunState | str,
    *,
    result: Mapping[str, Any] | msgspec.Struct | None = None,
    error: ErrorRecord | None = None,
) -> None:
    """Write a result file, whole or not at all.

    Parameters
    ----------
    path
        Where; its folder is made if need be.
    state
        How the run ended.
    result, error
        One of them: the result of a success, the error of anything else.

    Raises
    ------
    OSError
        The file cannot be written; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "out.json"
    >>> write_result(file, "succeeded", result={"rows": 3})
    >>> read_result(file).result
    {'rows': 3}
    """
    plain = None if result is None else msgspec.to_builtins(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode_result(WorkResult(RunState(state), plain, error)))


def read_result(path: Path) -> WorkResult | None:
    """Return what a result file says; None where there is none yet.

    Raises
    ------
    ResultUnreadable
        The file is there, but is no result.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkResult)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ResultUnreadable(str(path), str(error)) from error
