"""What a change changes, as git tells: the files that differ from where the branch began."""

from pathlib import Path
from typing import NamedTuple

from modelyard.ci.errors import ChangesUnknown
from modelyard.ci.hosts import CiContext
from modelyard.projects.git_command import GitCommand, GitCommandFailed, is_git_installed

__all__ = ["Changes", "changes_of"]

# A person's own settings, or those of .gitmodules, would leave out files or shorten their names.
_DIFFERENCES = ("diff", "--name-only", "-z", "--no-renames", "--no-relative")
_USUAL = ["origin/HEAD", "origin/main", "origin/master", "main", "master"]
"""What a person's branch has most likely begun from."""


class Changes(NamedTuple):
    """The files that differ between two commits.

    Parameters
    ----------
    top
        The folder of the repository.
    base
        The commit where the branch began; empty if it is not known.
    head
        The commit with the change.
    paths
        The files, relative to the repository, with ``/``.
    unknown
        Why nobody knows what has changed; empty if the paths are all.
    """

    top: Path
    base: str
    head: str
    paths: tuple[str, ...] = ()
    unknown: str = ""

    def earlier(self, path: str) -> str | None:
        """Return what a file of the repository held at the base; None if it was not there, or that is not known."""
        try:
            return GitCommand(self.top, {}).ask("show", f"{self.base}:{path}") if self.base else None
        except GitCommandFailed:
            return None


def changes_of(root: Path, context: CiContext, base: str = "", head: str = "") -> Changes:
    """Return what has changed in the repository of a project.

    On a person's own machine, files that are not committed yet count, too.

    Parameters
    ----------
    root
        The project's folder.
    context
        The job, which knows the base of a request or of a push.
    base
        What to compare with instead: a commit, branch or tag.
    head
        The commit with the change, instead of the one that is checked out.

    Raises
    ------
    ChangesUnknown
        There is no such base or head.
    """
    if not is_git_installed():
        return Changes(root, "", "", unknown="git is not installed")
    git = GitCommand(root, {})
    top = git.try_asking("rev-parse", "--show-toplevel")
    if not top:
        return Changes(root, "", "", unknown="the project is in no git repository")
    last = _commit(git, head or "HEAD")
    if not last and not head:
        return Changes(Path(top), "", "", unknown="the repository has no commit yet")
    if not last:
        raise ChangesUnknown(head, "there is no such commit", field="--head")
    began, unknown = _base(git, context, base, last)
    if unknown:
        if base:
            raise ChangesUnknown(base, unknown)
        return Changes(Path(top), "", last, unknown=unknown)
    paths = set(_listed(git, *_DIFFERENCES, "--ignore-submodules=none", began, last))
    if context.host == "none" and not head:
        top_git = GitCommand(Path(top), {})
        paths |= set(_listed(top_git, *_DIFFERENCES, "--ignore-submodules=untracked", "HEAD"))
        paths |= set(_listed(top_git, "ls-files", "-z", "--others", "--exclude-standard"))
    return Changes(Path(top), began, last, tuple(sorted(paths)))


def _base(git: GitCommand, context: CiContext, asked: str, head: str) -> tuple[str, str]:
    """Return the commit where the change began; or why it is not known."""
    branch = context.base_branch
    of_branch = [f"origin/{branch}", branch] if branch else []
    usual = _USUAL if context.host == "none" else []
    wanted = [asked] if asked else [each for each in (context.base_commit, *of_branch, *usual) if each]
    known = [found for each in wanted if (found := _commit(git, each))]
    if not known:
        return "", _why_unknown(git, wanted, context)
    began = git.try_asking("merge-base", known[0], head)
    if began == head and wanted == _USUAL and (shallow := _shallow(git)):
        # A clone of one branch takes that for what everything begins from, and a change would seem to be none.
        return "", f"nothing that the commit could be compared with is in this clone{shallow}"
    return (began, "") if began else ("", f"the two have no common commit in this clone{_shallow(git)}")


def _why_unknown(git: GitCommand, wanted: list[str], context: CiContext) -> str:
    if not wanted:
        return "the event names no base to compare with"
    if wanted == _USUAL:
        return f"there is no branch main or master in this clone{_shallow(git)}; name what to compare with: --base"
    kind = "branch" if wanted[0] == f"origin/{context.base_branch}" else "commit"
    return f"the {kind} {wanted[0][:40]} is not in this clone{_shallow(git)}"


def _shallow(git: GitCommand) -> str:
    """Return what to do about a clone that has only the newest commits; empty for one that has all."""
    if git.try_asking("rev-parse", "--is-shallow-repository") != "true":
        return ""
    return ", which is shallow (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab fetch the history)"


def _commit(git: GitCommand, name: str) -> str:
    """Return the commit of a name; a name that git would take for an option is none."""
    return "" if name.startswith("-") else git.try_asking("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def _listed(git: GitCommand, *arguments: str) -> list[str]:
    try:
        return [path for path in git.ask(*arguments).split("\0") if path]
    except GitCommandFailed as error:
        raise ChangesUnknown(arguments[-1], str(error)) from error
