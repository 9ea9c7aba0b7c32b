import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.operations.handles import Handle, handle_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.states import RunState

Ask = Callable[..., Invocation]
Appears = Callable[..., None]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modelyard.operations.worker", folder]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def queued(journal: Journal, request: Invocation) -> Job:
    """Make a job that a person starts by hand."""

    def launch(job: Job) -> Handle:
        numbers = {"generation": job.generation, "attempt": job.attempt}
        return handle_of(1, launcher="process", key=request.key, folder=job.folder, **numbers)

    return Job(Path(journal.start(request, launch).handle.folder))


@pytest.mark.parametrize(
    ("how", "code", "last"),
    [
        ("modelyard", 6, "probe: auc is too low. Lower the gate."),
        ("internal", 1, "ValueError: seven. The traceback is in {log}."),
        ("library", 2, 'sklearn is not installed. pip install "modelyard[ml]"'),
        ("interrupt", 11, "k: probe-break was cancelled."),
    ],
)
def test_the_exit_code_is_that_of_the_error_and_the_last_line_says_it(
    journal: Journal, ask: Ask, how: str, code: int, last: str
) -> None:
    job = queued(journal, ask("probe-break", how=how))
    with start(job.folder) as worker:
        output, _ = worker.communicate()

    assert worker.returncode == code
    assert output.splitlines()[-1].split(" ", 1)[1] == last.format(log=job.log)


def test_a_success_has_no_last_words(journal: Journal, ask: Ask, ledger: Path) -> None:
    job = queued(journal, ask(value=1))
    with start(job.folder) as worker:
        output, _ = worker.communicate()

    assert (worker.returncode, output) == (0, "working on 1\n")
    assert journal.state(job) is RunState.SUCCEEDED
    handle = job.handle()
    assert handle is not None
    assert (handle.pid, handle.group) == (worker.pid, 0), "a group that it does not lead is not its own"
    with start(job.folder) as again:
        output, _ = again.communicate()
    assert (again.returncode, output.split(" ", 1)[1]) == (75, "attempt 1 is not wanted any more\n")
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"


def test_two_workers_of_one_job_take_turns_and_one_works(journal: Journal, ask: Ask, ledger: Path) -> None:
    job = queued(journal, ask(value=1))
    with start(job.folder) as one, start(job.folder) as other:
        said = one.communicate()[0] + other.communicate()[0]

    assert sorted([one.returncode, other.returncode]) == [0, 75], said
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"


def test_sigterm_unwinds(journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears) -> None:
    job = queued(journal, ask(until=str(tmp_path / "never")))
    with start(job.folder) as worker:
        appears(ledger, "begin")
        worker.send_signal(signal.SIGTERM)
        worker.communicate()

    assert worker.returncode == 11
    assert ledger.read_text() == "begin 1.1\nstopped 1.1\n"
    assert journal.state(job) is RunState.CANCELLED


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with start(tmp_path / "k/1/1") as worker:
        output, _ = worker.communicate()

    assert worker.returncode == 75
    assert output.endswith(f"the job's folder {tmp_path}/k/1/1 is gone\n")
