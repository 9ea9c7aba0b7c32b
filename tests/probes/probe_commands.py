"""Operations to try front doors with."""

import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import DatasetRef, ModelRef, OperationContext, operation


class EchoResult(msgspec.Struct, frozen=True):
    """What arrived.

    Attributes
    ----------
    received
        Every parameter.
    context
        What the context said.
    """

    received: dict[str, Any]
    context: dict[str, Any]


@operation(kind="probe-echo", side_effects="none")
def echo(
    context: OperationContext,
    *,
    text: str,
    count: int = 3,
    share: float = 0.5,
    keep: bool = True,
    mode: Literal["fast", "exact"] = "fast",
    dataset: DatasetRef | None = None,
    model: ModelRef = "models:/m@champion",
    names: list[str] = ["a"],  # noqa: B006
    sizes: list[int] | None = None,
    weights: dict[str, float] = {},  # noqa: B006
    settings: dict[str, Any] = {},  # noqa: B006
    nested: list[list[int]] = [],  # noqa: B006
    anything: Any = None,
) -> EchoResult:
    """Return what arrived.

    Nothing else happens.

    Parameters
    ----------
    text
        Some text
    count
        How many.
    share
        A share, between 0 and 1.
    keep
        Whether to keep it.
    mode
        How to go about it.
    dataset
        A dataset.
    model
        A model.
    names
        Some names.
    sizes
        Some sizes.
    weights
        Some weights.
    settings
        Some settings.
    nested
        Lists in a list.
    anything
        Anything.

    Examples
    --------
    $ modelyard probe-echo --text hello
    """
    received = {name: value for name, value in locals().items() if name != "context"}
    told = {
        "project": context.project,
        "environment": context.environment,
        "key": context.key,
        "generation": context.generation,
        "attempt": context.attempt,
    }
    return EchoResult(received, told)


class NothingResult(msgspec.Struct, frozen=True):
    """Nothing.

    Attributes
    ----------
    done
        Whether it is done.
    """

    done: bool


class ProbeFailed(ModelyardError):
    """Raised on request."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"failed as {kind}", where="probe", mend="Ask for something else.", facts={"asked": kind})
        self._kind = ErrorKind(kind)

    @property
    def error_kind(self) -> ErrorKind:
        return self._kind


@operation(kind="probe-fail", side_effects="none")
def fail(context: OperationContext, *, kind: str) -> NothingResult:
    """Fail.

    Parameters
    ----------
    kind
        The kind of the error; ``defect`` for one that is not ours.
    """
    if kind == "leave":  # ends the process, and says that all is well
        raise SystemExit(0)
    if kind == "defect":
        raise ZeroDivisionError("nothing into many")
    raise ProbeFailed(kind)


@operation(kind="probe-wait", side_effects="storage")
def wait(context: OperationContext, *, folder: str, total: int = 0) -> NothingResult:
    """Say that it began, and wait until it may go on.

    Parameters
    ----------
    folder
        Where it says so, in a file ``began``, and looks for a file ``go``.
    total
        How many lines of progress to make.
    """
    context.log.info("waiting for %s", folder)
    place = Path(folder)
    try:
        (place / "began").touch()  # whoever sees it may cancel at once
        with context.progress.track("waiting", total, "turns") as track:
            for _ in range(total):
                track.advance()
            while not (place / "go").exists():
                time.sleep(0.02)
    except BaseException:
        (place / "stopped").touch()
        raise
    return NothingResult(done=True)
