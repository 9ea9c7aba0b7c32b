"""Errors of projects: the file, its names, its code, its environments and where it comes from.

::

    ModelyardError
    ├── ProjectNotFound, ProjectReferenceInvalid        what was asked for is no project
    ├── ProjectInvalid                                  modelyard.yaml breaks a rule
    ├── EnvironmentNotFound, VariableMissing,
    │   SecretNotFound, StateNotLocal                   an environment cannot be used
    ├── NameNotFound                                    a name leads to nothing
    │   └── FunctionNotFound, GraphNotFound, WorkflowNotFound
    ├── NotCallable, ModuleHidden                       a name leads to nothing that fits
    ├── ProjectImportFailed, UserFunctionFailed         the project's own code raised, imported or called
    ├── FunctionParametersInvalid, CallResultInvalid    what a called function got or gave does not fit
    ├── GitMissing, RepositoryUnreachable, RefNotFound  a git reference cannot be fetched
    ├── ContentUnreadable, GitFailed                    the project cannot be stamped
    ├── SnapshotConflict, SnapshotFailed                the project cannot be copied
    │   └── SnapshotDiskFull
    ├── InterpreterInvalid, RequirementsInvalid,
    │   RequirementsUnavailable                         a function's environment cannot be made
    └── LockTimeout                                     another process holds it for too long
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "CallResultInvalid",
    "ContentUnreadable",
    "EnvironmentNotFound",
    "FunctionNotFound",
    "FunctionParametersInvalid",
    "GitFailed",
    "GitMissing",
    "GraphNotFound",
    "InterpreterInvalid",
    "LockTimeout",
    "ModuleHidden",
    "NameNotFound",
    "NotCallable",
    "ProjectImportFailed",
    "ProjectInvalid",
    "ProjectNotFound",
    "ProjectReferenceInvalid",
    "RefNotFound",
    "RepositoryUnreachable",
    "RequirementsInvalid",
    "RequirementsUnavailable",
    "SecretNotFound",
    "SnapshotConflict",
    "SnapshotDiskFull",
    "SnapshotFailed",
    "StateNotLocal",
    "UserFunctionFailed",
    "VariableMissing",
    "WorkflowNotFound",
]

_FEW = 20


class ProjectNotFound(ModelyardError):
    """Raised when there is no modelyard.yaml in a folder or any folder above it."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, reference: str, looked: Sequence[Path]) -> None:
        if looked:
            what = f"there is no modelyard.yaml; looked in {', '.join(map(str, looked))}"
            mend = 'Start one: echo "name: my-project" > modelyard.yaml (see docs/projects.md).'
        else:
            what = "there is no such file or folder"
            mend = "Give the folder that holds modelyard.yaml, or one below it."
        super().__init__(what, where=reference, mend=mend, facts={"looked": [str(each) for each in looked]})


class ProjectReferenceInvalid(ModelyardError):
    """Raised when a project reference is neither a path nor ``git+URL@ref#subfolder``."""

    kind = ErrorKind.INVALID

    def __init__(self, reference: str, rule: str, mend: str = "") -> None:
        mend = mend or "Give a path, or git+URL@ref#subfolder."
        super().__init__(rule, where=f"project reference {reference}", mend=mend)


class ProjectInvalid(ModelyardError):
    """Raised when modelyard.yaml breaks a rule.

    Parameters
    ----------
    file, line, column
        Where in the file; the column only where the YAML itself is malformed.
    field
        The path of the field, such as ``functions.trainer.handler``.
    rule
        What must hold, and what was found.
    mend
        How to put it right.
    """

    kind = ErrorKind.INVALID

    def __init__(
        self, file: Path, rule: str, *, line: int = 0, column: int = 0, field: str = "", mend: str = ""
    ) -> None:
        place = ":".join([str(file), *(str(number) for number in (line, column) if number)])
        facts = {"file": str(file), "line": line, "column": column, "field": field}
        super().__init__(rule, where=f"{place}: {field}" if field else place, mend=mend, facts=facts)


class EnvironmentNotFound(ModelyardError):
    """Raised when the project declares no such environment."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, file: Path, name: str, known: Sequence[str], *, from_variable: str = "") -> None:
        source = f" (from the variable {from_variable})" if from_variable else ""
        super().__init__(
            f"there is no environment {name!r}{source}",
            where=str(file),
            mend=near_name(name, list(known)),
            facts={"environment": name},
        )


class VariableMissing(ModelyardError):
    """Raised when the environment in use needs a variable that is not set."""

    kind = ErrorKind.INVALID

    def __init__(self, file: Path, line: int, field: str, variable: str) -> None:
        super().__init__(
            f"the variable {variable} is not set",
            where=f"{file}:{line}: {field}",
            mend=f"Set it, or give a default: ${{{variable}:-value}}.",
            facts={"variable": variable, "field": field},
        )


class SecretNotFound(ModelyardError):
    """Raised when a secret is not declared, or has no value."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, environment: str, *, known: Sequence[str] = (), looked: str = "") -> None:
        if looked:
            what = f"the secret {name} has no value; looked in {looked}"
            mend = f"Set {name}, or set {name}_FILE to the path of a file that holds it."
        else:
            what = f"the environment {environment!r} declares no secret {name}"
            mend = f"{near_name(name, list(known))} Or add it to environments.{environment}.secrets in modelyard.yaml."
        super().__init__(what, mend=mend, facts={"secret": name, "environment": environment})


class StateNotLocal(ModelyardError):
    """Raised when work that needs a local folder for its journal is given a remote state location."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, environment: str) -> None:
        super().__init__(
            f"the state location {uri} is not a local folder, and this version keeps its journal in local folders only",
            where=f"environments.{environment}.state",
            mend="Name a folder, such as .modelyard/, on a disk that outlives the work.",
            facts={"uri": uri, "environment": environment},
        )


class NameNotFound(ModelyardError):
    """Raised when a name is neither in modelyard.yaml nor leads to an attribute of a module."""

    kind = ErrorKind.NOT_FOUND
    thing = ""

    def __init__(self, name: str, known: Sequence[str], *, where: str = "", detail: str = "", mend: str = "") -> None:
        super().__init__(
            f"there is no {self.thing} {name!r}{f': {detail}' if detail else ''}",
            where=where,
            mend=mend or near_name(name, list(known)),
            facts={self.thing: name},
        )


class FunctionNotFound(NameNotFound):
    """Raised when a function's name is neither in modelyard.yaml nor leads to an attribute of a module."""

    thing = "function"


class GraphNotFound(NameNotFound):
    """Raised when a graph's name is neither in modelyard.yaml nor leads to an attribute of a module."""

    thing = "graph"


class WorkflowNotFound(NameNotFound):
    """Raised when a workflow's name is neither in modelyard.yaml nor leads to an attribute of a module."""

    thing = "workflow"


class NotCallable(ModelyardError):
    """Raised when what is named as a function cannot be called."""

    kind = ErrorKind.INVALID

    def __init__(self, handler: str, found: str, where: str) -> None:
        super().__init__(
            f"{handler} must be a function, got {found}", where=where, mend="Name a function, or a class to be called."
        )


class ModuleHidden(ModelyardError):
    """Raised when a module of the project has the name of another that is already imported."""

    kind = ErrorKind.CONFLICT

    def __init__(self, module: str, other: str, where: str) -> None:
        super().__init__(
            f"the module {module} is hidden by another of the same name, {other}",
            where=where,
            mend="Rename the project's module, or put it into a package of its own.",
            facts={"module": module},
        )


class ProjectImportFailed(ModelyardError):
    """Raised when the project's own code raises while it is imported."""

    kind = ErrorKind.USER_CODE

    def __init__(self, module: str, cause: BaseException, where: str, missing: str = "") -> None:
        what = f"importing {module} raised {type(cause).__name__}: {cause}"
        mend = f"Install {missing}, or name it in the function's requirements." if missing else ""
        super().__init__(what, where=where, mend=mend, facts={"module": module, "cause": type(cause).__name__})


class GitMissing(ModelyardError):
    """Raised when a git reference is opened on a machine without git."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, reference: str) -> None:
        super().__init__(
            "the git command is not installed", where=reference, mend="Install git, or give a path instead."
        )


class RepositoryUnreachable(ModelyardError):
    """Raised when a repository cannot be fetched."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"git cannot fetch it: {reason}",
            where=url,
            mend="Check the address, the network and the credentials.",
            facts={"url": url},
        )


class RefNotFound(ModelyardError):
    """Raised when a repository has no such branch, tag or commit, or no such folder in it."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, url: str, what: str, name: str, known: Sequence[str]) -> None:
        mend = near_name(name, list(known))
        super().__init__(
            f"there is no {what} {name!r}",
            where=url,
            mend=mend if len(known) <= _FEW or mend.startswith("Did") else "",
            facts={"url": url, "name": name},
        )


class ContentUnreadable(ModelyardError):
    """Raised when a file of the project cannot be read."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"the file cannot be read: {reason}", where=str(file), mend="Check its permissions, or ignore it in git."
        )


class GitFailed(ModelyardError):
    """Raised when git cannot read the repository that a project lies in."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, root: Path, reason: str) -> None:
        super().__init__(
            f"git cannot read the repository: {reason}", where=str(root), mend="Look at what git status says there."
        )


class SnapshotConflict(ModelyardError):
    """Raised when the place for a snapshot holds something else."""

    kind = ErrorKind.CONFLICT

    def __init__(self, folder: Path, found: str) -> None:
        super().__init__(
            f"the snapshot cannot be put here, because the folder holds {found}",
            where=str(folder),
            mend="Choose a folder that does not exist.",
        )


class SnapshotFailed(ModelyardError):
    """Raised when a snapshot cannot be read or written."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, folder: Path, reason: str, mend: str = "") -> None:
        super().__init__(
            f"the snapshot failed: {reason}", where=str(folder), mend=mend or "Check the disk and the permissions."
        )


class SnapshotDiskFull(SnapshotFailed):
    """Raised when the disk is full; nothing is left behind."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "no space left on the disk", "Free some space, or let .gitignore name large files.")


class InterpreterInvalid(ModelyardError):
    """Raised when an interpreter that is named does not run."""

    kind = ErrorKind.INVALID

    def __init__(self, python: str, field: str, reason: str, mend: str = "") -> None:
        super().__init__(
            f"the interpreter {python} cannot be used: {reason}",
            where=field,
            mend=mend or "Name a Python of version 3.11 or newer.",
            facts={"python": python},
        )


class RequirementsInvalid(ModelyardError):
    """Raised when requirements contradict each other or do not exist."""

    kind = ErrorKind.INVALID

    def __init__(self, requirements: Sequence[str], reason: str) -> None:
        super().__init__(
            f"the requirements {', '.join(requirements)} cannot be installed: {reason}",
            mend="Correct the function's requirements in modelyard.yaml.",
            facts={"requirements": list(requirements)},
        )


class RequirementsUnavailable(RequirementsInvalid):
    """Raised when requirements cannot be fetched now."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, requirements: Sequence[str], reason: str) -> None:
        super().__init__(requirements, reason)
        self.mend = "Check the network and the package index, then try again."


class LockTimeout(ModelyardError):
    """Raised when another process holds a lock for longer than this one waits."""

    kind = ErrorKind.TIMEOUT

    def __init__(self, file: Path, purpose: str, seconds: float, holder: Mapping[str, object]) -> None:
        who = f"process {holder['pid']} on {holder['host']}" if {"pid", "host"} <= set(holder) else "another process"
        super().__init__(
            f"{who} is still {purpose} after {seconds:g} s",
            where=str(file),
            mend="Wait for it, or end it.",
            facts=dict(holder),
        )


class FunctionParametersInvalid(ModelyardError):
    """Raised when the parameters do not fit the function that they are for."""

    kind = ErrorKind.INVALID

    def __init__(self, function: str, reason: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the parameters do not fit the function: {reason}",
            where=function,
            mend=f"It takes {', '.join(known)}." if known else "It takes none.",
            facts={"function": function},
        )


class UserFunctionFailed(ModelyardError):
    """Raised when a function of the project raises; the traceback is in the log.

    Parameters
    ----------
    name
        What the project calls the function.
    cause
        What it raised.
    place
        File and line in the project's code, such as ``flights/training.py:31``.
    """

    kind = ErrorKind.USER_CODE

    def __init__(self, name: str, cause: BaseException, place: str) -> None:
        said = " ".join(str(cause).split())
        said = said if len(said) <= 300 else f"{said[:299]}…"
        super().__init__(
            f"{name} raised {type(cause).__name__}{f': {said}' if said else ''}",
            where=place,
            mend="The log has the traceback.",
            facts={"function": name, "cause": type(cause).__name__},
        )


class CallResultInvalid(ModelyardError):
    """Raised when a function that is called as an operation returns something that cannot be its result."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, rule: str) -> None:
        super().__init__(
            f"what the function returned {rule}",
            where=function,
            mend="Return a dict of references and scalars; write data to files.",
            facts={"function": function},
        )
