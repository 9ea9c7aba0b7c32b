"""Brings a commit of a git repository into the cache: one clone per repository, one folder per commit."""

import os
import shutil
import tempfile
from pathlib import Path

from modelyard.projects.document import FILE_NAME
from modelyard.projects.errors import GitMissing, RefNotFound, RepositoryUnreachable
from modelyard.projects.folders import cache_folder, home_folder
from modelyard.projects.git_command import GitCommand, GitCommandFailed, is_git_installed
from modelyard.projects.locks import locked
from modelyard.projects.reference import GitReference, parse_git_reference
from modelyard.projects.snapshot import Origin, read_origin, write_origin
from modelyard.projects.stamp import Stamp, stamp_of

__all__ = ["checked_out"]

_PATIENCE = 600.0
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20"


def checked_out(text: str) -> Path:
    """Return the folder of the project that ``git+URL@ref#subfolder`` leads to now.

    The clone is fetched anew unless the ref is a whole commit id that is there already. The folder is a snapshot: it
    belongs to the exact commit and never changes.

    Raises
    ------
    ProjectReferenceInvalid
        The reference has another form.
    GitMissing
        There is no git command.
    RepositoryUnreachable
        The repository cannot be fetched.
    RefNotFound
        There is no such branch, tag, commit or folder.
    LockTimeout
        Another process fetches the same repository for too long.
    """
    reference = parse_git_reference(text)
    if not is_git_installed():
        raise GitMissing(reference.url)
    folder = cache_folder() / "git" / reference.slug()
    if reference.is_exact:
        source = folder / "commits" / reference.ref / reference.subfolder
        if read_origin(source) is not None:
            return source
    with locked(folder / "lock", f"fetching {reference.url}"):
        clone = _Clone(folder / "repository.git", reference)
        commit = clone.fetched_commit()
        tree = folder / "commits" / commit
        if not tree.exists():
            clone.write_tree(commit, tree)
        return _marked(reference, commit, tree)


def _marked(reference: GitReference, commit: str, tree: Path) -> Path:
    source = tree / reference.subfolder
    if not (source / FILE_NAME).is_file():
        found = sorted(path.parent.relative_to(tree).as_posix() for path in tree.rglob(FILE_NAME))
        where = reference.subfolder or "."
        raise RefNotFound(reference.url, f"{FILE_NAME} at {commit[:12]} in the folder", where, found)
    if read_origin(source) is None:
        root = home_folder() / "projects" / reference.slug(reference.subfolder)
        stamp = Stamp(stamp_of(source).content, commit, dirty=False, origin=reference.url)
        write_origin(source, Origin(str(root), stamp))
    return source


class _Clone:
    """The bare clone of a repository in the cache; used under its lock only."""

    def __init__(self, folder: Path, reference: GitReference) -> None:
        self.folder = folder
        self.reference = reference

    def fetched_commit(self) -> str:
        ref = self.reference.ref
        if self.reference.is_exact and (commit := self._commit(ref)):
            return commit
        specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if not ref:
            specs.append("+HEAD:refs/modelyard/head")
        elif ref.startswith("refs/"):
            specs.append(f"+{ref}:{ref}")
        self._fetch(*specs)
        names = ["refs/modelyard/head"] if not ref else [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
        commit = next((commit for name in names if (commit := self._commit(name))), "")
        if not commit and self.reference.is_exact:
            self._fetch(f"+{ref}:refs/modelyard/{ref}")  # a commit that no branch holds any more
            commit = self._commit(ref)
        if not commit:
            raise self._no_such_ref()
        return commit

    def _commit(self, name: str) -> str:
        return self._command().try_asking("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")

    def _fetch(self, *specs: str) -> None:
        try:
            self._fetch_once(specs)
        except GitCommandFailed as error:
            reason = str(error)
            if "find remote ref" in reason or "not our ref" in reason:
                raise self._no_such_ref() from error
            if ".lock': File exists" not in reason:
                raise RepositoryUnreachable(self.reference.url, reason) from error
            # Our lock is held, so this one is of a git that was killed: what it left is thrown away.
            shutil.rmtree(self.folder, ignore_errors=True)
            try:
                self._fetch_once(specs)
            except GitCommandFailed as again:
                raise RepositoryUnreachable(self.reference.url, str(again)) from again

    def _fetch_once(self, specs: tuple[str, ...]) -> None:
        if not (self.folder / "HEAD").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._command().ask("init", "--quiet", "--bare", str(self.folder))
        options = ("--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head")
        self._command().ask("fetch", *options, self.reference.url, *specs, timeout=_PATIENCE)

    def _no_such_ref(self) -> RefNotFound:
        listed = self._command().try_asking("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags")
        known = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in listed.splitlines()]
        return RefNotFound(
            self.reference.url, "branch, tag or commit", self.reference.ref or "HEAD", sorted(set(known))
        )

    def _command(self, **more: str) -> GitCommand:
        variables = {
            "GIT_DIR": str(self.folder),
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", _SSH),
            "GIT_HTTP_LOW_SPEED_LIMIT": "1",
            "GIT_HTTP_LOW_SPEED_TIME": "60",
            **more,
        }
        if self.reference.secret_url != self.reference.url:
            # Other users of the machine can read a command line, but not a variable; and nothing is written to disk.
            count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
            variables["GIT_CONFIG_COUNT"] = str(count + 1)
            variables[f"GIT_CONFIG_KEY_{count}"] = f"url.{self.reference.secret_url}.insteadOf"
            variables[f"GIT_CONFIG_VALUE_{count}"] = self.reference.url
        return GitCommand(self.folder, variables)

    def write_tree(self, commit: str, to: Path) -> None:
        """Write the files of a commit to a folder, which appears complete or not at all."""
        to.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{commit}-"))
        index = self.folder / f"index-{temporary.name}"
        try:
            command = self._command(GIT_WORK_TREE=str(temporary), GIT_INDEX_FILE=str(index))
            command.ask("read-tree", commit)
            command.ask("checkout-index", "--all", "--force", timeout=_PATIENCE)
            temporary.chmod(0o755)
            temporary.rename(to)
        except GitCommandFailed as error:
            raise RepositoryUnreachable(self.reference.url, f"commit {commit[:12]}: {error}") from error
        finally:
            index.unlink(missing_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
