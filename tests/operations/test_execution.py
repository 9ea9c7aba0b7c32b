import errno
import threading
from collections.abc import Callable
from logging import getLogger
from pathlib import Path

import msgspec
import pytest

from modelyard.errors import ErrorKind
from modelyard.operations import execution
from modelyard.operations.errors import OperationCancelled, OperationNotFound
from modelyard.operations.execution import execute, record_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.progress import NoProgress
from modelyard.operations.switches import ThreadSwitch


class Allocation(MemoryError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "type_", "message"),
    [
        (ValueError("seven"), ErrorKind.INTERNAL, "ValueError", "ValueError: seven"),
        (Allocation("9 TiB"), ErrorKind.EXHAUSTED, "Allocation", "there is not enough memory: 9 TiB"),
        (OSError(errno.ENOSPC, "No space", "/d/f"), ErrorKind.EXHAUSTED, "OSError", "no space left on the disk"),
        (OSError(errno.EDQUOT, "Quota"), ErrorKind.EXHAUSTED, "OSError", "no space left on the disk"),
        (
            OSError(errno.EACCES, "Denied"),
            ErrorKind.INTERNAL,
            "PermissionError",
            f"PermissionError: [Errno {errno.EACCES}] Denied",
        ),
        (OperationCancelled("train", "k"), ErrorKind.CANCELLED, "OperationCancelled", "train was cancelled"),
        (SystemExit(3), ErrorKind.USER_CODE, "SystemExit", "the code ended its process: exit(3)"),
        (
            ModuleNotFoundError("No", name="sklearn.tree"),
            ErrorKind.INVALID,
            "LibraryMissing",
            "sklearn is not installed",
        ),
        (
            ModuleNotFoundError("No", name="modelyard.x"),
            ErrorKind.INTERNAL,
            "ModuleNotFoundError",
            "ModuleNotFoundError: No",
        ),
    ],
)
def test_any_error_becomes_a_record(error: BaseException, kind: ErrorKind, type_: str, message: str) -> None:
    record = record_of(error, "/jobs/log")

    assert (record.kind, record.type, record.message) == (kind, type_, message)
    assert ("The traceback is in /jobs/log." in record.mend) == (kind is ErrorKind.INTERNAL)


def test_a_missing_library_names_the_extra() -> None:
    assert record_of(ModuleNotFoundError("No", name="sklearn")).mend == 'pip install "modelyard[ml]"'
    assert record_of(ModuleNotFoundError("No", name="xgboost")).mend == "Install xgboost in this environment."


def test_an_operation_that_is_not_installed_here(ask: Callable[..., Invocation]) -> None:
    unknown = msgspec.structs.replace(ask(), operation="probe-wrok")
    with pytest.raises(OperationNotFound, match=r"there is no operation 'probe-wrok'\. Did you mean probe-work\?"):
        execute(unknown, progress=NoProgress(), log=getLogger())


def test_a_share_that_stumbles_for_a_moment_stops_no_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_BEAT", 0.01)
    looks, beaten = list[str](), threading.Event()

    class Stumbling(Job):
        @property
        def cancel_requested(self) -> bool:
            looks.append("look")
            if len(looks) == 1:
                raise OSError(errno.ESTALE, "stale")
            return False

        def beat(self) -> None:
            super().beat()
            beaten.set()

    with execution._Heart(Stumbling(tmp_path), ThreadSwitch()):
        assert beaten.wait(60)
    assert (tmp_path / "heartbeat").exists()
