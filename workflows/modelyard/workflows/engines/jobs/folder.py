"""The folder that goes from job to job: how steps ended, and the files that later jobs read."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from modelyard.operations.atomic import write_atomically
from modelyard.workflows.engines.step_ends import StepEnd
from modelyard.workflows.errors import WorkflowInvalid
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["FOLDER", "RunFolder", "part_folder"]

FOLDER = ".modelyard/workflow"
"""Where the folder is in a project, unless told otherwise."""

_ENDS, _FILES, _OUTCOME = "ends", "files", "outcome.json"


def part_folder(job: str) -> str:
    """Return the name of the folder of one job, which is the name of its artifact, too."""
    return f"step-{job}"


class RunFolder:
    """One run of a workflow as one machine sees it: a folder inside for each job whose artifact is there.

    Parameters
    ----------
    path
        Where it is; made when something is written.
    root
        The project's folder, to which the paths of files are relative.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.root = root

    def clear(self, job: str) -> None:
        """Forget what an earlier attempt of a job has left."""
        shutil.rmtree(self._part(job), ignore_errors=True)
        self._part(job).mkdir(parents=True)
        # Nothing in here is a part of the project.
        (self.path / ".gitignore").write_text("*\n")

    def end(self, jobs: Iterable[str], name: str) -> StepEnd | None:
        """Return how a step ended in one of some jobs; None where nothing is known."""
        for job in jobs:
            path = self._part(job) / _ENDS / f"{name}.json"
            if path.is_file():
                return msgspec.json.decode(path.read_bytes(), type=StepEnd)
        return None

    def write_end(self, job: str, name: str, end: StepEnd) -> None:
        """Write down how a step ended."""
        self._write(self._part(job) / _ENDS / f"{name}.json", end)

    def outcome(self, job: str) -> WorkflowOutcome:
        """Return what the run has left, as its last job has written it."""
        return msgspec.json.decode((self._part(job) / _OUTCOME).read_bytes(), type=WorkflowOutcome)

    def write_outcome(self, job: str, outcome: WorkflowOutcome) -> None:
        """Write down what the run has left."""
        self._write(self._part(job) / _OUTCOME, outcome)

    def restore(self, jobs: Iterable[str]) -> None:
        """Put the files that jobs have handed on back into the project; those of later jobs go before."""
        for job in jobs:
            source = self._part(job) / _FILES
            for path in _files(source):
                target = self.root / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

    def seen(self, paths: Sequence[str]) -> dict[Path, tuple[int, int]]:
        """Return the files that are below paths of the project now, each with its size and the time of its change.

        Raises
        ------
        WorkflowInvalid
            A path leads out of the project.
        """
        found = {}
        for path in paths:
            pure = PurePosixPath(path)
            if pure.is_absolute() or ".." in pure.parts or not pure.parts:
                mend = "Write paths relative to the project's folder."
                raise WorkflowInvalid(f"{path!r} does not lie in the project", where="--files", mend=mend)
            place = self.root / pure
            for file in [place] if place.is_file() else _files(place):
                stat = file.stat()
                found[file] = (stat.st_size, stat.st_mtime_ns)
        return found

    def hand_on(self, job: str, paths: Sequence[str], before: dict[Path, tuple[int, int]]) -> None:
        """Take the files below paths of the project for later jobs that are new, or others than before.

        Parameters
        ----------
        job
            Whose they are.
        paths
            Relative to the project's folder.
        before
            What `seen` has returned before the work.
        """
        for file, facts in self.seen(paths).items():
            if before.get(file) != facts:
                target = self._part(job) / _FILES / file.relative_to(self.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)

    def _part(self, job: str) -> Path:
        return self.path / part_folder(job)

    @staticmethod
    def _write(path: Path, content: msgspec.Struct) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(content))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, without links, which would lead elsewhere on another machine."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
