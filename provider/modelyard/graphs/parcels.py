"""What is sent over a process border and back: bodies, results and errors, whether or not they can be read there."""

import pickle
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.graphs.failures import Unsendable

__all__ = ["Outgoing", "Packed", "Unreadable", "portable"]


class Unreadable:
    """What arrives instead of something that cannot be read on this side."""

    def __init__(self, why: str) -> None:
        self.why = why


class Outgoing:
    """A value that is pickled when it is sent, and arrives as itself or as `Unreadable`: nobody's worker dies of it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _read, (pickle.dumps(self._value),)


class Packed:
    """A result that is pickled at once, and arrives as itself or as `Unreadable`.

    Raises
    ------
    Unsendable
        It cannot be pickled.
    """

    def __init__(self, value: Any) -> None:
        try:
            self._data = pickle.dumps(value)
        except Exception as error:  # noqa: BLE001 (pickle raises whatever it likes)
            raise Unsendable(f"its result, of type {type(value).__name__}, cannot leave its process: {error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _read, (self._data,)


class _Carrier(Exception):
    """Carries one of our errors, which would otherwise arrive as a foreign one, and leave its type behind."""

    def __init__(self, error: ModelyardError, data: bytes) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._data,)


def portable(error: Exception) -> Exception:
    """Return what a worker raises so that `error` arrives with its type, or at least with its name and text."""
    if isinstance(error, StopIteration):  # no future can hold one; a coroutine that raises it does the same
        error = RuntimeError("the step raised StopIteration")
    elif not isinstance(error, ModelyardError):
        try:
            if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 (made on this line)
                return error
            why = "it becomes something else on the way"
        except Exception as raised:  # noqa: BLE001 (pickle raises whatever it likes)
            why = str(raised)
        error = Unsendable(f"the step raised {type(error).__name__}: {error}", f"The error itself was lost: {why}.")
    return _carried(error) if isinstance(error, ModelyardError) else error


def _carried(error: ModelyardError) -> Exception:
    try:
        data = pickle.dumps((type(error), error.args, vars(error)))
        _rebuilt(data)
    except Exception:  # noqa: BLE001 (pickle raises whatever it likes)
        return error
    return _Carrier(error, data)


def _rebuilt(data: bytes) -> ModelyardError:
    kind, args, state = pickle.loads(data)  # noqa: S301 (written by a worker of ours)
    error: ModelyardError = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


def _read(data: bytes) -> Any:
    try:
        return pickle.loads(data)  # noqa: S301 (written on the other side of the pipe)
    except Exception as error:  # noqa: BLE001 (pickle raises whatever it likes)
        return Unreadable(f"{type(error).__name__}: {error}")
