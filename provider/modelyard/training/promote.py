"""The operation promote: points an alias to a version if the declared gates hold."""

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from modelyard.operations import ModelRef, OperationContext, operation
from modelyard.projects import open_project
from modelyard.tracking import Evaluation, Evaluations, ResolvedModel, Tracking, open_tracking
from modelyard.tracking.author import author
from modelyard.tracking.references import check_alias
from modelyard.tracking.tags import PROMOTION
from modelyard.training.gates import Gate, judge, parse_gates
from modelyard.training.promotion_errors import (
    ChampionMoved,
    EvaluationNotFound,
    EvaluationOfOther,
    EvaluationUnfinished,
    GateFailed,
    ModelNotRegistered,
)

__all__ = ["PromoteResult", "PromotionRecord", "promote"]

CHAMPION = "champion"


class PromoteResult(msgspec.Struct, frozen=True):
    """What promote returns.

    Attributes
    ----------
    model
        The exact version that the alias points to now.
    name
        The registered name.
    alias
        The alias.
    previous
        The version that it pointed to before; none if it was not set.
    gates
        Each gate with the values put in and its verdict, such as ``0.744 >= 0.7: held``.
    first
        Whether the alias was set for the first time, so that no gate could compare with a champion.
    """

    model: ModelRef
    name: str
    alias: str
    previous: str | None
    gates: dict[str, str]
    first: bool


class PromotionRecord(msgspec.Struct, frozen=True):
    """Who promoted a version, when and why: the JSON in the version's tag ``modelyard.promotion.<alias>``.

    Parameters
    ----------
    at
        When, as an ISO 8601 time.
    by
        Who.
    evaluation
        The evaluation's run; empty if none was asked for.
    gates
        Each gate's outcome.
    previous
        The version that the alias pointed to before; none if it was not set.
    first
        Whether the alias was set for the first time.
    key, generation
        The work that did it.
    workflow_run
        The workflow run that it was part of.
    done
        Whether the alias was moved; false only if the process died just before.
    """

    at: str
    by: str
    evaluation: str
    gates: dict[str, str]
    previous: str | None
    first: bool
    key: str = ""
    generation: int = 1
    workflow_run: str = ""
    done: bool = False


@operation(kind="promote", side_effects="registry")
def promote(
    context: OperationContext,
    *,
    model: ModelRef,
    evaluation: str = "",
    gates: list[str] = [],  # noqa: B006 (copied for each call)
    alias: str = "champion",
) -> PromoteResult:
    """Point an alias to a version of a registered model, if all gates hold.

    A gate is ``metric operator bound``, where the bound is a number, ``champion``, ``champion + number``,
    ``champion - number`` or ``champion * number``. If one does not hold, nothing changes and the error tells every
    gate's outcome. The champion must still be the one that the evaluation compared with: of two promotions at once
    one wins, and the other is told to evaluate again.

    Parameters
    ----------
    model
        The version to promote, such as ``models:/delays/3`` or ``models:/delays@challenger``.
    evaluation
        The evaluation to judge by, as evaluate returns it; the version's newest finished one if empty.
    gates
        What must hold, such as ``roc_auc >= 0.7`` or ``roc_auc >= champion - 0.005``.
    alias
        The alias to move.

    Examples
    --------
    $ modelyard promote --model models:/delays/3 --gates 'roc_auc >= 0.7' --gates 'roc_auc >= champion - 0.005'
    """
    declared = parse_gates(gates)
    check_alias(alias)
    project = open_project(context.project)
    tracking = open_tracking(project.environment(context.environment), project.name)
    candidate = tracking.resolve(model)
    if candidate.version is None:
        raise ModelNotRegistered(model)
    promotion = Promotion(context, tracking, candidate, alias, declared)
    result = promotion.run(evaluation)
    context.log.info("%s is %s %s of %s", result.model, "now" if promotion.moved else "already", alias, result.name)
    return result


class Weighed(NamedTuple):
    """A promotion that could be made now.

    Parameters
    ----------
    judged
        What it is judged by; None if by nothing.
    outcomes
        What came of each gate; all hold.
    current
        The version that the alias points to; empty if it is not set.
    """

    judged: Evaluation | None
    outcomes: dict[str, str]
    current: str


class Promotion:
    """One attempt to move one alias to one version.

    Parameters
    ----------
    context
        The operation's context.
    tracking
        Where the models are.
    candidate
        The registered version.
    alias
        The alias.
    gates
        What must hold.
    """

    def __init__(
        self, context: OperationContext, tracking: Tracking, candidate: ResolvedModel, alias: str, gates: list[Gate]
    ) -> None:
        self.context = context
        self.tracking = tracking
        self.registry = tracking.registry
        self.candidate = candidate
        self.alias = alias
        self.gates = gates
        self.compares = any(gate.champion for gate in gates)
        self.moved = False

    def weigh(self, evaluation: str) -> Weighed:
        """Check all that a promotion checks, and change nothing.

        Parameters
        ----------
        evaluation
            The evaluation's run; the newest finished one, if there is any, if empty.

        Raises
        ------
        GateFailed, ChampionMoved, EvaluationNotFound, EvaluationOfOther, EvaluationUnfinished
            The promotion could not be made.
        """
        now = self._aliases()
        none_asked = not evaluation and not self.gates
        judged = Evaluations(self.tracking).newest(self.candidate) if none_asked else self._evaluation(evaluation)
        if now.get(self.alias) != self.candidate.version:
            self._check_champion(judged, now, now)
        return Weighed(judged, self._judge(judged), self._uri(now.get(self.alias)))

    def run(self, evaluation: str) -> PromoteResult:
        """Move the alias, if all gates hold; raises as `promote`.

        Parameters
        ----------
        evaluation
            The evaluation's run; where there are gates and it is empty, the newest finished one.
        """
        before = self._aliases()
        recorded = self._recorded()
        if recorded is not None and recorded.done and self._is_mine(recorded):
            return self._result(recorded)
        judged = self._evaluation(evaluation)
        with self.registry.alias_lock(self.candidate.name, self.alias):
            now, recorded = self._aliases(), self._recorded()
            if now.get(self.alias) != self.candidate.version:
                self._check_champion(judged, before, now)
            outcomes = self._judge(judged)
            if now.get(self.alias) == self.candidate.version and recorded is not None:
                # It is there already: done by another key, or by an earlier attempt that died before it could say so.
                record = recorded
            else:
                record = self._record(judged, outcomes, now)
            self._move(record, now)
        return self._result(msgspec.structs.replace(record, gates=outcomes))

    def _aliases(self) -> dict[str, int]:
        return self.registry.aliases(self.candidate.name)

    # --- what is judged -----------------------------------------------------------------------------------------------

    def _evaluation(self, run_id: str) -> Evaluation | None:
        evaluations, model = Evaluations(self.tracking), self.candidate.uri
        if not run_id and not self.gates:
            return None
        found = evaluations.get(run_id) if run_id else evaluations.newest(self.candidate)
        if found is None:
            raise EvaluationNotFound(model, run_id)
        if found.model != model:
            raise EvaluationOfOther(model, found.run_id, found.model)
        if found.status != "FINISHED":
            raise EvaluationUnfinished(model, found.run_id, found.status)
        return found

    def _check_champion(self, judged: Evaluation | None, before: dict[str, int], now: dict[str, int]) -> None:
        """Refuse to decide against a champion that is no longer the champion."""
        if judged is not None:
            followed = _alias_in(judged.asked, self.candidate.name)
            champion = followed or (CHAMPION if CHAMPION in (*now, self.alias) else self.alias)
            replaces = self.alias == champion and (bool(followed) or not judged.asked)
            if (self.compares or replaces) and judged.baseline != self._uri(now.get(champion)):
                raise ChampionMoved(self.candidate.uri, champion, judged.baseline, self._uri(now.get(champion)))
        if before.get(self.alias) != now.get(self.alias):
            expected, found = self._uri(before.get(self.alias)), self._uri(now.get(self.alias))
            raise ChampionMoved(self.candidate.uri, self.alias, expected, found)

    def _judge(self, judged: Evaluation | None) -> dict[str, str]:
        if judged is None:
            return {}
        baseline = judged.baseline_metrics if judged.baseline else None
        outcomes = [judge(gate, judged.metrics, baseline) for gate in self.gates]
        said = {outcome.gate.text: outcome.said for outcome in outcomes}
        failed = [outcome.gate.text for outcome in outcomes if not outcome.held]
        if failed:
            raise GateFailed(self.candidate.uri, said, failed, judged.run_id)
        return said

    # --- what is written ----------------------------------------------------------------------------------------------

    def _move(self, record: PromotionRecord, now: dict[str, int]) -> None:
        """Move the alias between two writes of the record, so that a death in between can be told from success."""
        name, version = self.candidate.name, self.candidate.version or 0
        if now.get(self.alias) != version:
            self._write(record)
            self.registry.point_alias(name, self.alias, version)
            self.moved = True
        if not record.done:
            self._write(msgspec.structs.replace(record, done=True))

    def _write(self, record: PromotionRecord) -> None:
        text = msgspec.json.encode(record).decode()
        self.registry.tag_version(self.candidate.name, self.candidate.version or 0, PROMOTION + self.alias, text)

    def _record(self, judged: Evaluation | None, outcomes: dict[str, str], now: dict[str, int]) -> PromotionRecord:
        there = now.get(self.alias)
        previous = self._uri(there) if there not in (None, self.candidate.version) else None
        return PromotionRecord(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            by=author(),
            evaluation=judged.run_id if judged else "",
            gates=outcomes,
            previous=previous,
            first=there is None,
            key=self.context.key,
            generation=self.context.generation,
            workflow_run=self.context.workflow_run,
        )

    def _recorded(self) -> PromotionRecord | None:
        text = self.registry.version_tags(self.candidate.name, self.candidate.version or 0).get(PROMOTION + self.alias)
        try:
            return msgspec.json.decode(text, type=PromotionRecord) if text else None
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None

    def _is_mine(self, record: PromotionRecord) -> bool:
        return bool(record.key) and (record.key, record.generation) == (self.context.key, self.context.generation)

    def _result(self, record: PromotionRecord) -> PromoteResult:
        return PromoteResult(
            model=self.candidate.uri,
            name=self.candidate.name,
            alias=self.alias,
            previous=record.previous,
            gates=record.gates,
            first=record.first,
        )

    def _uri(self, version: int | None) -> str:
        return f"models:/{self.candidate.name}/{version}" if version else ""


def _alias_in(asked: str, name: str) -> str:
    """Return the alias that an evaluation's baseline followed; empty if it was none, or one exact version."""
    if asked == "none":
        return ""
    if asked.startswith(f"models:/{name}@"):
        return asked.partition("@")[2]
    return "" if ":" in asked else asked
