"""Checks a commit out beside the working tree, with its submodules, and takes it away again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelyard.projects.git_command import GitCommand, GitCommandFailed

__all__ = ["checked_out_beside"]

_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
_SUBMODULE = "160000"


@contextmanager
def checked_out_beside(top: Path, commit: str) -> Iterator[Path]:
    """Give a folder with the files of a commit, as long as the block runs.

    Submodules are there at the commit's own state if the present working tree has them, too. The index, the branch and
    the files of the present working tree stay as they are.

    Parameters
    ----------
    top
        The folder of the repository.
    commit
        The commit.

    Raises
    ------
    GitCommandFailed
        The commit, or that of a submodule, is not there.
    """
    with TemporaryDirectory(prefix="modelyard-base-") as place:
        tree = Path(place) / "tree"
        made: list[tuple[Path, Path]] = []
        try:
            _check_out(top, tree, commit, made)
            yield tree
        finally:
            for repository, folder in reversed(made):
                GitCommand(repository, {}).try_asking("worktree", "remove", "--force", str(folder))


def _check_out(repository: Path, tree: Path, commit: str, made: list[tuple[Path, Path]]) -> None:
    git = GitCommand(repository, {})
    git.ask(*_QUIET, "worktree", "add", "--quiet", "--force", "--detach", str(tree), commit)
    made.append((repository, tree))
    for entry in git.ask("ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        about, _, path = entry.partition("\t")
        if about.startswith(_SUBMODULE) and (repository / path / ".git").exists():
            _check_out_submodule(repository / path, tree / path, about.split()[2], made)


def _check_out_submodule(present: Path, tree: Path, commit: str, made: list[tuple[Path, Path]]) -> None:
    try:
        _check_out(present, tree, commit, made)
    except GitCommandFailed:
        # A shallow clone has only the commit of the present state.
        GitCommand(present, {}).ask("fetch", "--quiet", "--depth=1", "origin", commit)
        _check_out(present, tree, commit, made)
