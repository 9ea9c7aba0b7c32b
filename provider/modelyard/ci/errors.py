"""Errors of the work in CI.

::

    ModelyardError
    ├── ForgeError                   what the forge did not do; a report that fails so is shown elsewhere
    │   ├── ForgeUnreachable         no answer, or one that says: later
    │   ├── ForgeDenied              the token is missing, wrong or weak
    │   ├── ForgeNotFound            no such repository or request, or hidden from the token
    │   └── ForgeRefused             it refuses what was sent
    ├── ChangesUnknown               git cannot tell what has changed
    ├── FolderIncomplete             a command needs what an earlier one did not leave
    ├── FolderUnwritable             what a command finds cannot be kept
    ├── RunOutdated                  what was found is about another commit
    ├── MergeBaseUnusable            what the branch began from cannot be trained
    ├── MergeBaseWithout             what the branch began from had no such thing yet
    ├── RequestGatesFailed           a gate of a candidate does not hold
    ├── RequestWorkFailed            a step of the request's work failed
    ├── CandidateUnknown             what shall be promoted is not in the report
    ├── CandidatesAlike              nobody can say which candidate of a registered model is the better one
    ├── CandidateChanged             the version in the registry is no longer the one in the report
    ├── DeployedAnswersWrong         what was deployed does not answer as it must
    └── RequestsUnreadable           the requests for a preview cannot be read
"""

from collections.abc import Mapping, Sequence

from modelyard.errors import ErrorKind, ModelyardError

__all__ = [
    "CandidateChanged",
    "CandidateUnknown",
    "CandidatesAlike",
    "ChangesUnknown",
    "DeployedAnswersWrong",
    "FolderIncomplete",
    "FolderUnwritable",
    "ForgeDenied",
    "ForgeError",
    "ForgeNotFound",
    "ForgeRefused",
    "ForgeUnreachable",
    "MergeBaseUnusable",
    "MergeBaseWithout",
    "RequestGatesFailed",
    "RequestWorkFailed",
    "RequestsUnreadable",
    "RunOutdated",
]


class ForgeError(ModelyardError):
    """Base of what goes wrong between us and a forge."""


class ForgeUnreachable(ForgeError):
    """Raised when a forge does not answer, or asks to come again later than we can wait.

    Parameters
    ----------
    call
        The request, such as ``POST /repos/…``.
    reason
        What came instead of an answer.
    """

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"the forge does not answer: {reason}", where=call, mend="Run the job again later.")


class ForgeDenied(ForgeError):
    """Raised when the token is missing, wrong or weak.

    Parameters
    ----------
    call, status, said
        The request, the status of the answer, and its message.
    """

    kind = ErrorKind.DENIED

    def __init__(self, call: str, status: int, said: str) -> None:
        mend = (
            "Look whether the token is right and has not expired."
            if status == 401
            else "See docs/ci/tokens.md for what the token must be allowed to do."
        )
        super().__init__(f"the forge answered {status}: {said}", where=call, mend=mend, facts={"status": status})


class ForgeNotFound(ForgeError):
    """Raised when there is no such place, or the token may not see it."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, call: str, said: str) -> None:
        super().__init__(
            f"the forge answered 404: {said}",
            where=call,
            mend="Look whether repository and request are right, and whether the token may see them.",
        )


class ForgeRefused(ForgeError):
    """Raised when a forge refuses what was sent."""

    kind = ErrorKind.INVALID

    def __init__(self, call: str, status: int, said: str) -> None:
        super().__init__(f"the forge answered {status}: {said}", where=call, facts={"status": status})


class ChangesUnknown(ModelyardError):
    """Raised when git cannot tell what a request changes."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, commit: str, reason: str, field: str = "--base") -> None:
        super().__init__(
            f"git cannot tell what has changed {'in' if field == '--head' else 'since'} {commit[:200]}: {reason}",
            where=field,
            mend=f"Name a commit of this clone as {field}.",
        )


class FolderIncomplete(ModelyardError):
    """Raised when a command needs what an earlier one leaves, and it is not there or is damaged."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, path: str, command: str, reason: str = "it is not there") -> None:
        super().__init__(
            reason, where=path, mend=f"It is what {command} leaves; run that first, with the same --folder."
        )


class FolderUnwritable(ModelyardError):
    """Raised when what a command finds cannot be kept.

    Parameters
    ----------
    path
        The file.
    reason
        Why.
    mend
        What says where the file is.
    """

    kind = ErrorKind.INVALID

    def __init__(self, path: str, reason: str, mend: str = "Name another place with --folder.") -> None:
        super().__init__(f"cannot be written: {reason}", where=path, mend=mend)


class RunOutdated(ModelyardError):
    """Raised when what was found is about another commit than the one that is here.

    Parameters
    ----------
    file
        The file that is about another commit.
    of, present
        That commit, and the one that is here.
    """

    kind = ErrorKind.CONFLICT

    def __init__(self, file: str, of: str, present: str) -> None:
        super().__init__(
            f"it is about the commit {of[:12]}, and the commit {present[:12]} is here",
            where=file,
            mend="Run modelyard ci plan and modelyard ci run for this commit.",
            facts={"of": of, "present": present},
        )


class MergeBaseUnusable(ModelyardError):
    """Raised when what the branch began from cannot be trained.

    Parameters
    ----------
    commit
        The commit; empty if it is not known.
    reason
        Why.
    """

    kind = ErrorKind.NOT_FOUND

    def __init__(self, commit: str, reason: str) -> None:
        what = f"the merge base {commit[:12]} cannot be trained" if commit else "the merge base is not known"
        super().__init__(f"{what}: {reason.rstrip('.')}")


class MergeBaseWithout(ModelyardError):
    """Raised when what the branch began from had no such thing yet: nothing is wrong, and nothing can be compared.

    Parameters
    ----------
    commit
        The commit.
    thing
        What it does not have.
    """

    kind = ErrorKind.NOT_FOUND

    def __init__(self, commit: str, thing: str) -> None:
        super().__init__(f"the merge base {commit[:12]} has {thing}")


class RequestGatesFailed(ModelyardError):
    """Raised when a gate of a candidate does not hold.

    Parameters
    ----------
    failed
        Model → gate → what came of it, of the gates that failed.
    """

    kind = ErrorKind.GATE_FAILED

    def __init__(self, failed: Mapping[str, Mapping[str, str]]) -> None:
        told = "; ".join(f"{model}: {gate} ({said})" for model, each in failed.items() for gate, said in each.items())
        count = sum(len(each) for each in failed.values())
        super().__init__(
            f"{count} gate{'s do' if count > 1 else ' does'} not hold: {told}",
            facts={"failed": {model: dict(each) for model, each in failed.items()}},
        )


class RequestWorkFailed(ModelyardError):
    """Raised when the work that a request needed failed, so that there is nothing to judge.

    Parameters
    ----------
    failures
        One sentence for each failure.
    failure_kind
        The kind of the first: the exit code is that of the work itself.
    """

    kind = ErrorKind.USER_CODE

    def __init__(self, failures: Sequence[str], failure_kind: str) -> None:
        super().__init__(
            f"the work of the request failed: {'; '.join(failures)}",
            mend="See the report.",
            facts={"failures": list(failures)},
        )
        self._kind = ErrorKind(failure_kind)

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of what failed first."""
        return self._kind


class CandidateUnknown(ModelyardError):
    """Raised when what shall be promoted is not among the registered candidates of a report.

    Parameters
    ----------
    asked
        What was asked for; empty for all that are registered.
    known
        The report's candidates.
    """

    kind = ErrorKind.INVALID

    def __init__(self, asked: str, known: Sequence[str]) -> None:
        what = f"the report has no candidate {asked}" if asked else "the report has no candidate that is registered"
        super().__init__(what, where="--model", mend=f"Known: {', '.join(known)}." if known else "It names none.")


class CandidatesAlike(ModelyardError):
    """Raised when several candidates of one registered model were not judged alike, so that none is the best.

    Parameters
    ----------
    models
        The candidates.
    """

    kind = ErrorKind.INVALID

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(
            "the report has several candidates of one registered model, measured on other rows or by other metrics",
            where="--model",
            mend=f"Name the one to promote: {', '.join(models)}.",
            facts={"models": list(models)},
        )


class CandidateChanged(ModelyardError):
    """Raised when the version in the registry is no longer the one in the report."""

    kind = ErrorKind.CONFLICT

    def __init__(self, model: str, reported: str, found: str) -> None:
        super().__init__(
            f"the report is of files with the digest {reported[:16]}, the registry has {found[:16] or 'none'}",
            where=model,
            mend="Let the request be judged again.",
            facts={"model": model, "reported": reported, "found": found},
        )


class DeployedAnswersWrong(ModelyardError):
    """Raised when what was deployed does not answer its smoke requests as it must.

    Parameters
    ----------
    endpoint
        Where it answers.
    failed, requests
        How many requests were answered otherwise, and how many were sent.
    wrong
        A sentence on each of the first of these answers.
    back
        The revision that answers again instead; empty if it still answers itself.
    """

    kind = ErrorKind.GATE_FAILED

    def __init__(self, endpoint: str, failed: int, requests: int, wrong: Sequence[str], back: str = "") -> None:
        after = f"; the revision before, {back}, answers again" if back else ""
        super().__init__(
            f"{failed} of {requests} requests were not answered as they had to be{after}",
            where=endpoint,
            mend=""
            if back
            else "It still answers: modelyard rollback goes back to the revision before, if there is one.",
            facts={"endpoint": endpoint, "failed": failed, "requests": requests, "wrong": list(wrong), "back": back},
        )


class RequestsUnreadable(ModelyardError):
    """Raised when the requests for a preview cannot be read."""

    kind = ErrorKind.INVALID

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}", where="--requests", mend="Give a JSON list of bodies, or one on each line."
        )
