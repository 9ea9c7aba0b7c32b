"""Brings a report to where people look: the request, the commit, the job's page. Nothing that fails here is lost."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from modelyard.ci.errors import ForgeDenied, ForgeError, ForgeNotFound, ForgeUnreachable
from modelyard.ci.forges import Annotation, CheckReport, Comment, CommitStatus, DeploymentReport, Forge
from modelyard.ci.hosts import CiContext
from modelyard.ci.redaction import Redaction
from modelyard.ci.reporting.history import history_of
from modelyard.ci.reporting.rendering import LIMIT, marker, render, summary
from modelyard.ci.reporting.report import Report

__all__ = ["Delivery", "Publisher", "StatusKind"]

StatusKind = Literal["auto", "check", "status", "none"]
"""What is put beside the commit: a check run if the token may, else a status; one of them; or nothing."""

_TRIES = 3


class Delivery(msgspec.Struct, frozen=True):
    """What became of one part of a report.

    Parameters
    ----------
    channel
        ``comment``, ``status``, ``check``, ``deployment`` or ``summary``.
    state
        ``created``, ``updated``, ``skipped`` (there was no reason or no right to) or ``failed``.
    reason
        Why it was skipped or failed.
    url
        Where it is to be seen.
    """

    channel: str
    state: Literal["created", "updated", "skipped", "failed"]
    reason: str = ""
    url: str = ""


class Publisher:
    """Publishes the report of one job.

    Parameters
    ----------
    context
        The job.
    forge
        The forge; None where there is none, or no token.
    redaction
        What must not leave the job.
    obstacle
        Why there is no forge, where that is known better than by the job's context.
    """

    def __init__(self, context: CiContext, forge: Forge | None, redaction: Redaction, obstacle: str = "") -> None:
        self._context = context
        self._obstacle = obstacle
        self._forge = forge
        self._clean = redaction

    def publish(
        self,
        report: Report,
        *,
        annotations: Sequence[Annotation] = (),
        status: StatusKind = "auto",
        deployments: Sequence[DeploymentReport] = (),
        closing: str = "",
    ) -> list[Delivery]:
        """Publish a report; no error of the forge is raised.

        Parameters
        ----------
        report
            The report.
        annotations
            Remarks on source lines, for a check run.
        status
            What is put beside the commit.
        deployments
            What was deployed and lasts.
        closing
            The address of the summary page, where the status leads if the job has no page of its own.
        """
        done = [self._tried("comment", lambda: self._comment(report))]
        if status != "none":
            done.append(self._status(report, annotations, status, closing or self._context.run_url))
        done += [self._tried("deployment", partial(self._deployed, each)) for each in deployments]
        done.append(self._summary(report, done))
        return done

    def pending(self, project: str, status: StatusKind = "auto") -> Delivery:
        """Say beside the commit that the work has begun, by the same means as `publish` later tells how it ended."""
        text = "The models are at work"
        line = CommitStatus(self._context.head_commit, _name(project), "pending", text, self._context.run_url)
        if status == "none" or not line.commit:
            return Delivery("status", "skipped", "The commit is not known." if status != "none" else "")
        return self._beside(CheckReport(line, f"{text}."), status)

    def retire(self, deployment: DeploymentReport) -> Delivery:
        """Say that something that was deployed is gone."""
        return self._tried("deployment", lambda: self._deployed(deployment))

    # --- the parts ----------------------------------------------------------------------------------------------------

    def _tried(self, channel: str, act: Callable[[], Delivery]) -> Delivery:
        reason = self._reason_against()
        if reason:
            return Delivery(channel, "skipped", reason)
        try:
            return act()
        except ForgeError as error:
            return Delivery(channel, "failed", self._clean(str(error)))

    def _reason_against(self) -> str:
        token = self._context.token
        if self._obstacle:
            return self._obstacle
        if self._context.forge == "none":
            return token.reason or "This is no CI job of a forge."
        if token.ability != "write":
            return token.reason
        return "" if self._forge else "The forge's address or the repository is not known."

    def _comment(self, report: Report) -> Delivery:
        forge, request = self._forge, self._context.request
        assert forge is not None  # noqa: S101 - asked by _tried
        if not request:
            return Delivery("comment", "skipped", "The job belongs to no request.")
        limit = min(LIMIT, forge.most_characters)
        failure: ForgeError | None = None
        for _ in range(_TRIES):
            # Looked for each time anew: an answer that got lost may have been a yes.
            mine = self._mine(forge, request, report.project)
            body = self._clean(render(report, history_of(mine.body) if mine else (), limit=limit))
            try:
                if mine is None:
                    return Delivery("comment", "created", url=forge.create_comment(request, body).url)
                forge.update_comment(request, mine.id, body)
                return Delivery("comment", "updated", url=mine.url)
            except ForgeUnreachable as error:
                failure = error
            except ForgeNotFound as error:
                if mine is None:
                    raise
                failure = error  # somebody has deleted it meanwhile
        assert failure is not None  # noqa: S101 - no try has returned
        raise failure

    @staticmethod
    def _mine(forge: Forge, request: int, project: str) -> Comment | None:
        """Return our comment: it begins with the project's marker, and we have written it."""
        author, first = forge.author(), marker(project)
        found = (each for each in forge.comments(request) if each.body.lstrip().startswith(first))
        return next((each for each in found if each.author == author), None)

    def _status(self, report: Report, annotations: Sequence[Annotation], kind: StatusKind, url: str) -> Delivery:
        text = self._clean(report.verdict.line)
        line = CommitStatus(report.commit, _name(report.project), report.verdict.commit_state, text, url)
        if not report.commit:
            return Delivery("status", "skipped", "The commit is not known.")
        remarks = tuple(each._replace(message=self._clean(each.message)) for each in annotations)
        return self._beside(CheckReport(line, self._clean(render(report)), remarks), kind)

    def _beside(self, check: CheckReport, kind: StatusKind) -> Delivery:
        """Put something beside the commit."""
        if kind != "status":
            try:
                return self._tried_check(check)
            except ForgeDenied as error:
                if kind == "check":
                    return Delivery("check", "failed", self._clean(str(error)))
        # A check run needs more than a status does: the job's own token, or an app.
        return self._tried("status", lambda: self._set_status(check.status))

    def _tried_check(self, check: CheckReport) -> Delivery:
        reason = self._reason_against()
        if reason:
            return Delivery("check", "skipped", reason)
        assert self._forge is not None  # noqa: S101 - there is no reason against it
        try:
            self._forge.set_check(check)
        except ForgeDenied:
            raise
        except ForgeError as error:
            return Delivery("check", "failed", self._clean(str(error)))
        return Delivery("check", "created")

    def _set_status(self, line: CommitStatus) -> Delivery:
        assert self._forge is not None  # noqa: S101 - asked by _tried
        self._forge.set_status(line)
        return Delivery("status", "created")

    def _deployed(self, deployment: DeploymentReport) -> Delivery:
        assert self._forge is not None  # noqa: S101 - asked by _tried
        self._forge.deployed(deployment)
        return Delivery("deployment", "created", url=deployment.url)

    def _summary(self, report: Report, done: Sequence[Delivery]) -> Delivery:
        """Add the report to the job's page, with what could not be told on the request."""
        path = self._context.files.summary
        if not path:
            return Delivery("summary", "skipped", "The host has no summary of a job.")
        notices = [f"The {each.channel} was not written: {each.reason}" for each in done if is_notable(each)]
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(self._clean(summary(report, notices)))
        except OSError as error:
            return Delivery("summary", "failed", error.strerror or str(error))
        return Delivery("summary", "created")


def is_notable(delivery: Delivery) -> bool:
    """Tell whether people should hear why a part of a report is missing."""
    expected = ("The job belongs to no request.", "The host has no summary of a job.", "This is no CI job of a forge.")
    return delivery.state in ("skipped", "failed") and delivery.reason not in expected


def _name(project: str) -> str:
    return f"modelyard/{project}"
