import errno
from collections.abc import Callable
from logging import getLogger

import msgspec
import pytest

from modelyard.errors import ErrorKind
from modelyard.operations.errors import OperationCancelled, OperationNotFound
from modelyard.operations.execution import execute, record_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.progress import NoProgress


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
