"""Errors of registering and promoting models.

::

    ModelyardError
    ├── GateInvalid                                          a gate is not written by the grammar
    ├── GateFailed                                           a declared gate does not hold
    ├── ModelNotRegistered                                   only a registered version can be promoted
    ├── EvaluationNotFound, EvaluationUnfinished,
    │   EvaluationOfOther                                    there is nothing to judge by
    └── ChampionMoved                                        somebody else has promoted meanwhile
"""

from collections.abc import Mapping

from modelyard.errors import ErrorKind, ModelyardError

__all__ = [
    "ChampionMoved",
    "EvaluationNotFound",
    "EvaluationOfOther",
    "EvaluationUnfinished",
    "GateFailed",
    "GateInvalid",
    "ModelNotRegistered",
]


class GateInvalid(ModelyardError):
    """Raised when a gate is not written by the grammar.

    Parameters
    ----------
    gate
        The gate as written.
    position
        The character at which it goes wrong, from 1.
    expected
        What should stand there.
    """

    kind = ErrorKind.INVALID

    def __init__(self, gate: str, position: int, expected: str) -> None:
        rest = gate[position - 1 :].strip()
        found = f"found {rest!r}" if rest else "it ends there"
        super().__init__(
            f"the gate {gate!r} is wrong at character {position}: expected {expected}, {found}",
            where="gates",
            mend='Write one such as "roc_auc >= 0.7" or "roc_auc >= champion - 0.005".',
            facts={"gate": gate, "position": position, "expected": expected},
        )


class GateFailed(ModelyardError):
    """Raised when a model is not promoted because a declared gate does not hold.

    Parameters
    ----------
    model
        The exact version.
    outcomes
        Every gate's outcome, of those that held, too.
    failed
        The gates that did not hold.
    evaluation
        The evaluation's run.
    """

    kind = ErrorKind.GATE_FAILED

    def __init__(self, model: str, outcomes: Mapping[str, str], failed: list[str], evaluation: str) -> None:
        listed = "; ".join(f"{gate} ({outcomes[gate]})" for gate in failed)
        super().__init__(
            f"{len(failed)} of {len(outcomes)} gates did not hold: {listed}",
            where=model,
            mend=f"The alias stays where it is; see evaluation {evaluation}.",
            facts={"model": model, "gates": dict(outcomes), "failed": failed, "evaluation": evaluation},
        )


class ModelNotRegistered(ModelyardError):
    """Raised when a model that is no registered version should be promoted."""

    kind = ErrorKind.INVALID

    def __init__(self, reference: str) -> None:
        super().__init__(
            "only a registered version can be promoted",
            where=reference,
            mend="Register it first, and promote the models:/name/version that this gives.",
            facts={"model": reference},
        )


class EvaluationNotFound(ModelyardError):
    """Raised when gates are declared and there is no evaluation to judge by."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, model: str, evaluation: str = "") -> None:
        what = f"there is no evaluation {evaluation!r}" if evaluation else "the version has no finished evaluation"
        super().__init__(
            what,
            where=model,
            mend=f"Evaluate it first: modelyard evaluate --model {model} --dataset ….",
            facts={"model": model, "evaluation": evaluation},
        )


class EvaluationUnfinished(ModelyardError):
    """Raised when the evaluation is still running, or did not end well."""

    kind = ErrorKind.CONFLICT

    def __init__(self, model: str, evaluation: str, status: str) -> None:
        super().__init__(
            f"the evaluation {evaluation} is {status.lower()}, not finished",
            where=model,
            mend="Wait for it, or evaluate the version again.",
            facts={"model": model, "evaluation": evaluation, "status": status},
        )


class EvaluationOfOther(ModelyardError):
    """Raised when the evaluation judged something else than the version to promote."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, evaluation: str, evaluated: str) -> None:
        what = f"judged {evaluated}" if evaluated else "is a run, but no evaluation of a registered version"
        super().__init__(
            f"the evaluation {evaluation} {what}",
            where=model,
            mend=f"Evaluate {model} itself.",
            facts={"model": model, "evaluation": evaluation, "evaluated": evaluated},
        )


class ChampionMoved(ModelyardError):
    """Raised when the champion is no longer the version that the decision was made against.

    Parameters
    ----------
    model
        The version to promote.
    alias
        The alias that moved.
    expected
        The version that the evaluation compared with; empty for none.
    found
        The version that the alias points to now; empty for none.
    """

    kind = ErrorKind.CONFLICT

    def __init__(self, model: str, alias: str, expected: str, found: str) -> None:
        super().__init__(
            f"the {alias} is {found or 'not set'} now, the decision was made against {expected or 'none'}",
            where=model,
            mend=f"Evaluate {model} against the present {alias} and promote again.",
            facts={"model": model, "alias": alias, "expected": expected, "found": found},
        )
