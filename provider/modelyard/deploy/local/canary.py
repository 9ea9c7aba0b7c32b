"""Leads one rollout: splits the traffic, looks at what both revisions answer, and says when it is decided."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from modelyard.deploy.local.ports import InnerSockets
from modelyard.deploy.local.records import Deployed, Request
from modelyard.deploy.local.worker_group import WorkerGroup
from modelyard.deploy.rollout import Arm, Rollout, RolloutStatus, Verdict, judge
from modelyard.serving.bundle import read_manifest
from modelyard.serving.splits import Figures, Split

__all__ = ["Canary", "Decision", "tried_in_process"]

Decision = Literal["", "promote", "roll_back"]


def tried_in_process(revisions: Path, now: Deployed, request: Request, rollout: Rollout) -> bool:
    """Return whether the workers of now can answer with the new revision, too.

    They can where it has other models and nothing else: two revisions of code never share an interpreter.

    Parameters
    ----------
    revisions
        The folder of bundles.
    now
        What answers.
    request, rollout
        What is to be tried, and how.
    """
    settings = request.settings
    same = settings and msgspec.structs.replace(settings, workers=now.settings.workers) == now.settings
    if rollout.shadow or not same:
        return False
    first, second = (read_manifest(revisions / each) for each in (now.revision, request.revision))
    return first.differs_in_models_alone(second)


class Canary:
    """A new revision beside the one that answers.

    Parameters
    ----------
    stable
        The workers of the revision that answers.
    group
        Those of the new one, ready; without `inner` those that will be started when it gets everything.
    request
        What the deployer asked for.
    rollout
        How the traffic is to move.
    inner
        The sockets where the new workers take what the stable ones hand on. None if the new revision has other models
        and nothing else: then the stable workers answer with both.
    tell
        Takes the status whenever it has changed.
    log
        The endpoint's.
    """

    def __init__(
        self,
        stable: WorkerGroup,
        group: WorkerGroup,
        request: Request,
        rollout: Rollout,
        *,
        inner: InnerSockets | None,
        tell: Callable[[RolloutStatus], None],
        log: logging.Logger,
    ) -> None:
        self.group = group
        self.request = request
        self._stable = stable
        self._rollout = rollout
        self._paths = (inner.http, inner.rpc if group.wiring.rpc else ()) if inner else ("", ())
        self._trial = "" if inner else str(group.bundle)
        self._watched = group if inner else stable
        self._ended_before = 0 if inner else _ended(stable)
        self._tell = tell
        self._log = log
        self._step = 0
        self._begun = self._step_begun = time.time()
        self._answered_before = 0
        self._verdicts: list[Verdict] = []
        self._last = (Figures(), Figures())

    async def begin(self) -> None:
        """Let the first part of the traffic go to the new revision.

        Raises
        ------
        GroupNotReady
            Its workers do not take any.
        """
        if self._trial:
            self._log.info("%s has other models and nothing else: the same workers try it", self.group.revision)
        else:
            await self.group.admit()
            await self.group.divide(self._split(0.0))
        await self._divide()

    async def take_over(self) -> None:
        """Let the new revision's workers take connections of their own.

        Raises
        ------
        GroupNotReady
            They do not.
        """
        if self._trial:
            await self.group.start(self.request.timeout)
            await self.group.accept()
        else:
            await self.group.take_over()

    async def look(self) -> Decision:
        """Look at what was answered; go to the next step, or say what is decided."""
        self._last = champion, challenger = self._counted()
        gates = self._rollout.gates
        crashes = _ended(self._watched) - self._ended_before
        self._verdicts = judge(gates, champion, challenger, crashes)
        self._report("running", "")
        if any(verdict.passed is False for verdict in self._verdicts):
            return "roll_back"
        stage, passed = self._rollout.steps[self._step], time.time() - self._step_begun
        enough = challenger.requests - self._answered_before >= gates.requests
        if passed >= stage.seconds and enough and all(verdict.passed for verdict in self._verdicts):
            if self._step + 1 == len(self._rollout.steps):
                return "promote" if self._rollout.promote else ""
            self._step += 1
            self._step_begun, self._answered_before = time.time(), challenger.requests
            await self._divide()
        elif passed >= gates.within + stage.seconds and not enough:
            return "roll_back"
        return ""

    async def end(self) -> None:
        """Let the stable revision answer everything again."""
        await self._stable.divide(None)

    def finish(self, *, promoted: bool, reason: str) -> None:
        """Write down how it ended."""
        self._report("promoted" if promoted else "rolled_back", reason)
        self._log.info("rollout of %s %s: %s", self.group.revision, "done" if promoted else "rolled back", reason)

    @property
    def reason(self) -> str:
        """What the gates say: the failed ones if there are any."""
        failed = [verdict for verdict in self._verdicts if verdict.passed is False]
        left = [verdict for verdict in self._verdicts if verdict.passed is None]
        return "; ".join(f"{verdict.gate}: {verdict.said}" for verdict in failed or left or self._verdicts)

    def _split(self, share: float) -> Split:
        rollout, (socket, rpc) = self._rollout, self._paths
        metric = rollout.gates.metric.field if rollout.gates.metric else ""
        inner = not share
        return Split(
            share / 100,
            key=rollout.key.lower(),
            shadow=rollout.shadow,
            metric=metric,
            salt=self.group.revision,
            socket="" if inner else socket,
            rpc=() if inner else rpc,
            trial=self._trial,
        )

    async def _divide(self) -> None:
        stage = self._rollout.steps[self._step]
        self._log.info("rollout of %s: %g %% of the traffic", self.group.revision, stage.share)
        await self._stable.divide(self._split(stage.share))
        self._report("running", "")

    def _counted(self) -> tuple[Figures, Figures]:
        if self._trial:
            return self._stable.figures(), self._stable.figures(trial=True)
        champion, challenger = self._stable.figures(), self.group.figures()
        challenger.lost, champion.lost = challenger.lost + champion.lost, 0  # who handed on counts what was lost
        return champion, challenger

    def _report(self, state: Literal["running", "promoted", "rolled_back"], reason: str) -> None:
        champion, challenger = self._last
        author = self.request.author
        status = RolloutStatus(
            revision=self.group.revision,
            state=state,
            reason=reason,
            step=self._step + 1,
            steps=len(self._rollout.steps),
            share=self._rollout.steps[self._step].share if state == "running" else 0.0,
            shadow=self._rollout.shadow,
            since=self._begun,
            until=0.0 if state == "running" else time.time(),
            by=author.by if author else "",
            champion=Arm.of(champion),
            challenger=Arm.of(challenger),
            gates={verdict.gate: f"{_WORDS[verdict.passed]}: {verdict.said}" for verdict in self._verdicts},
            models=author.models if author else {},
        )
        self._tell(status)


def _ended(group: WorkerGroup) -> int:
    return sum(worker.restarts for worker in group.status())


_WORDS = {True: "passed", False: "failed", None: "open"}
