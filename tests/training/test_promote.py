import dataclasses
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelyard.errors import ModelyardError
from modelyard.operations import OperationContext
from modelyard.projects import open_project
from modelyard.tracking import AliasNotFound, ModelNameInvalid, ModelNotFound, Tracking, open_tracking
from modelyard.training.promote import PromoteResult, promote
from modelyard.training.promotion_errors import (
    ChampionMoved,
    EvaluationNotFound,
    EvaluationOfOther,
    EvaluationUnfinished,
    GateFailed,
    GateInvalid,
    ModelNotRegistered,
)
from modelyard.training.review import Rejection, Review, reject, review

Evaluate = Callable[..., str]


@pytest.fixture(scope="module")
def three_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three versions of delays and no alias, made once and copied for each test."""
    from sklearn.dummy import DummyClassifier

    folder = tmp_path_factory.mktemp("versions")
    (folder / "modelyard.yaml").write_text("name: flights\n")
    project = open_project(folder)
    environment = project.environment("dev")
    tracking = open_tracking(environment, project.name)
    for _ in range(3):
        with tracking.start_run("train") as run:
            info = run.log_model(DummyClassifier().fit(np.zeros((2, 1)), [0, 1]))
        tracking.register(info.uri, "delays")
    return environment.state / "mlflow.db"


@pytest.fixture
def context(tmp_path: Path, three_versions: Path, monkeypatch: pytest.MonkeyPatch) -> OperationContext:
    monkeypatch.delenv("MODELYARD_ENVIRONMENT", raising=False)
    monkeypatch.setenv("MODELYARD_USER", "ann")
    (tmp_path / "modelyard.yaml").write_text("name: flights\n")
    shutil.copy(three_versions, open_project(tmp_path).environment().open_state() / "mlflow.db")
    return OperationContext(project=str(tmp_path), folder=tmp_path / "job", key="first", workflow_run="run-1")


@pytest.fixture
def tracking(context: OperationContext) -> Tracking:
    project = open_project(context.project)
    return open_tracking(project.environment(), project.name)


@pytest.fixture
def evaluate(tracking: Tracking) -> Evaluate:
    """Write what the operation evaluate writes."""

    def write(version: int, auc: float, baseline: int = 0, champion: float = 0.0, *, asked: str = "champion") -> str:
        tags = {
            "modelyard.evaluated_model": f"models:/delays/{version}",
            "modelyard.baseline_model": f"models:/delays/{baseline}" if baseline else "",
            "modelyard.baseline": asked,
        }
        with tracking.start_run("evaluate", tags=tags) as run:
            run.log_metrics({"roc_auc": auc, **({"champion.roc_auc": champion} if baseline else {})})
        return run.run_id

    return write


def with_key(context: OperationContext, key: str, **changes: Any) -> OperationContext:
    return OperationContext(project=context.project, folder=context.folder, key=key, **changes)


def champion(tracking: Tracking) -> int:
    return tracking.registry.aliases("delays")["champion"]


def record(tracking: Tracking, version: int, alias: str = "champion") -> dict[str, Any]:
    found = tracking.client.get_model_version("delays", str(version)).tags[f"modelyard.promotion.{alias}"]
    return dict(json.loads(found))


GATES = ["roc_auc >= 0.7", "roc_auc >= champion - 0.005"]


def test_the_first_promotion_holds_without_a_champion_and_says_so(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    evaluation = evaluate(1, 0.74)
    result = promote(context, model="models:/delays/1", evaluation=evaluation, gates=GATES)
    assert result == PromoteResult(
        model="models:/delays/1",
        name="delays",
        alias="champion",
        previous=None,
        gates={
            "roc_auc >= 0.7": "0.74 >= 0.7: held",
            "roc_auc >= champion - 0.005": "0.74, and there is no champion to compare with: held",
        },
        first=True,
    )
    assert champion(tracking) == 1
    written = record(tracking, 1)
    assert written.pop("at").endswith("+00:00")
    assert written == {
        "by": "ann",
        "evaluation": evaluation,
        "gates": result.gates,
        "previous": None,
        "first": True,
        "key": "first",
        "generation": 1,
        "workflow_run": "run-1",
        "done": True,
    }


def test_a_better_candidate_takes_over(context: OperationContext, tracking: Tracking, evaluate: Evaluate) -> None:
    evaluate(1, 0.74)
    promote(context, model="models:/delays/1", gates=GATES)
    evaluate(2, 0.9, 1, 0.74)
    evaluate(2, 0.736, 1, 0.74)
    result = promote(with_key(context, "second"), model="models:/delays/2", gates=GATES)
    assert (result.previous, result.first) == ("models:/delays/1", False)
    assert result.gates == {
        "roc_auc >= 0.7": "0.736 >= 0.7: held",
        "roc_auc >= champion - 0.005": "0.736 >= 0.735 (champion 0.74 - 0.005): held",
    }
    assert champion(tracking) == 2


def test_a_failed_gate_changes_nothing_and_tells_every_outcome(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    evaluate(1, 0.74)
    promote(context, model="models:/delays/1", gates=GATES)
    evaluation = evaluate(2, 0.71, 1, 0.74)
    with pytest.raises(GateFailed) as raised:
        promote(with_key(context, "second"), model="models:/delays/2", gates=[*GATES, "f1 > 0"])
    assert raised.value.outcome.exit_code == 6
    assert raised.value.facts == {
        "model": "models:/delays/2",
        "gates": {
            "roc_auc >= 0.7": "0.71 >= 0.7: held",
            "roc_auc >= champion - 0.005": "0.71 >= 0.735 (champion 0.74 - 0.005): failed",
            "f1 > 0": "there is no metric 'f1'. Known: roc_auc.: failed",
        },
        "failed": ["roc_auc >= champion - 0.005", "f1 > 0"],
        "evaluation": evaluation,
    }
    assert "2 of 3 gates did not hold" in str(raised.value)
    assert champion(tracking) == 1
    assert "modelyard.promotion.champion" not in tracking.client.get_model_version("delays", "2").tags


def test_a_metric_that_is_not_a_number_fails_its_gate(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    evaluate(1, float("nan"))
    with pytest.raises(GateFailed, match="roc_auc is not a number: failed"):
        promote(context, model="models:/delays/1", gates=["roc_auc >= champion"])
    assert tracking.registry.aliases("delays") == {}


# --- the evaluation ---------------------------------------------------------------------------------------------------


def test_gates_without_an_evaluation_are_refused(context: OperationContext, tracking: Tracking) -> None:
    with pytest.raises(
        EvaluationNotFound, match=r"no finished evaluation. .*modelyard evaluate --model models:/delays/1"
    ):
        promote(context, model="models:/delays/1", gates=GATES)


@pytest.mark.parametrize("evaluation", ["0123456789abcdef0123456789abcdef", "not a run"])
def test_an_evaluation_that_does_not_exist(context: OperationContext, tracking: Tracking, evaluation: str) -> None:
    with pytest.raises(EvaluationNotFound, match=f"there is no evaluation '{evaluation}'"):
        promote(context, model="models:/delays/1", evaluation=evaluation, gates=GATES)


def test_the_evaluation_must_be_of_exactly_that_version(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    other = evaluate(2, 0.9)
    with pytest.raises(EvaluationOfOther, match=f"the evaluation {other} judged models:/delays/2"):
        promote(context, model="models:/delays/1", evaluation=other, gates=GATES)
    training = tracking.resolve("models:/delays/1").run_id
    with pytest.raises(EvaluationOfOther, match="is a run, but no evaluation"):
        promote(context, model="models:/delays/1", evaluation=training)
    with pytest.raises(EvaluationNotFound):
        promote(context, model="models:/delays/1", gates=GATES)


def test_an_evaluation_that_is_not_finished(context: OperationContext, tracking: Tracking) -> None:
    run = tracking.start_run("evaluate", tags={"modelyard.evaluated_model": "models:/delays/1"})
    with pytest.raises(EvaluationUnfinished, match="is running, not finished"):
        promote(context, model="models:/delays/1", evaluation=run.run_id, gates=GATES)
    with pytest.raises(EvaluationNotFound):
        promote(context, model="models:/delays/1", gates=GATES)


def test_without_gates_no_evaluation_is_needed(context: OperationContext, tracking: Tracking) -> None:
    result = promote(context, model="models:/delays/3")
    assert (result.gates, result.first, champion(tracking)) == ({}, True, 3)


def test_it_says_whether_it_moved_anything(
    context: OperationContext, tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for key in ("first", "second"):
        promote(dataclasses.replace(context, key=key), model="models:/delays/3")
    assert [record.message for record in caplog.records if "champion" in record.message] == [
        "models:/delays/3 is now champion of delays",
        "models:/delays/3 is already champion of delays",
    ]


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"model": "models:/delays/1", "gates": ["auc => 1"]}, GateInvalid),
        ({"model": "models:/delays/1", "alias": "v2"}, ModelNameInvalid),
        ({"model": "models:/delay/1"}, ModelNotFound),
        ({"model": "models:/delays@challenger"}, AliasNotFound),
    ],
)
def test_bad_input_is_refused(
    context: OperationContext, tracking: Tracking, given: dict[str, Any], error: type[ModelyardError]
) -> None:
    with pytest.raises(error):
        promote(context, **given)
    assert tracking.registry.aliases("delays") == {}


def test_only_a_registered_version_is_promoted(context: OperationContext, tracking: Tracking) -> None:
    with pytest.raises(ModelNotRegistered):
        promote(context, model=f"models:/{tracking.resolve('models:/delays/1').model_id}")


# --- the champion -----------------------------------------------------------------------------------------------------


def test_a_champion_that_moved_since_the_evaluation_is_noticed(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    promote(context, model="models:/delays/1")
    late = evaluate(3, 0.8, 1, 0.7)
    promote(with_key(context, "second"), model="models:/delays/2")
    with pytest.raises(ChampionMoved) as raised:
        promote(with_key(context, "third"), model="models:/delays/3", evaluation=late, gates=GATES)
    assert raised.value.facts["expected"] == "models:/delays/1"
    assert raised.value.facts["found"] == "models:/delays/2"
    assert raised.value.outcome.exit_code == 4
    assert champion(tracking) == 2


def test_a_champion_that_appeared_since_the_evaluation_is_noticed(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    early = evaluate(2, 0.8)
    promote(context, model="models:/delays/1")
    with pytest.raises(ChampionMoved, match="the champion is models:/delays/1 now, the decision was made against none"):
        promote(with_key(context, "second"), model="models:/delays/2", evaluation=early)


def test_an_evaluation_against_nothing_serves_gates_that_name_no_champion(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    promote(context, model="models:/delays/1")
    alone = evaluate(2, 0.8, asked="none")
    with pytest.raises(ChampionMoved):
        promote(with_key(context, "second"), model="models:/delays/2", evaluation=alone, gates=GATES)
    result = promote(with_key(context, "second"), model="models:/delays/2", evaluation=alone, gates=GATES[:1])
    assert (result.previous, champion(tracking)) == ("models:/delays/1", 2)


def test_another_alias_may_be_gated_against_the_champion(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    promote(context, model="models:/delays/1")
    evaluate(2, 0.8, 1, 0.7)
    result = promote(with_key(context, "second"), model="models:/delays/2", gates=GATES, alias="challenger")
    assert (result.alias, result.first, result.previous) == ("challenger", True, None)
    assert tracking.registry.aliases("delays") == {"champion": 1, "challenger": 2}
    assert record(tracking, 2, "challenger")["gates"] == result.gates


@pytest.mark.parametrize("asked", ["production", "models:/delays@production"])
def test_the_champion_may_have_another_name(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate, asked: str
) -> None:
    first = evaluate(1, 0.7, asked=asked)
    assert promote(context, model="models:/delays/1", evaluation=first, gates=GATES, alias="production").first
    late = evaluate(3, 0.8, 1, 0.7, asked=asked)
    evaluate(2, 0.8, 1, 0.7, asked=asked)
    promote(with_key(context, "second"), model="models:/delays/2", gates=GATES, alias="production")
    with pytest.raises(ChampionMoved, match="the production is models:/delays/2 now"):
        promote(with_key(context, "third"), model="models:/delays/3", evaluation=late, gates=GATES, alias="production")
    assert tracking.registry.aliases("delays") == {"production": 2}


def test_an_exact_baseline_must_be_the_champion_if_gates_name_it(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    promote(context, model="models:/delays/1")
    other = evaluate(2, 0.8, 3, 0.7, asked="models:/delays/3")
    same = evaluate(2, 0.8, 1, 0.7, asked="models:/delays/1")
    with pytest.raises(ChampionMoved):
        promote(with_key(context, "second"), model="models:/delays/2", evaluation=other, gates=GATES)
    promote(with_key(context, "second"), model="models:/delays/2", evaluation=same, gates=GATES)
    assert champion(tracking) == 2


@pytest.mark.parametrize("gates", [GATES, []])
def test_of_two_promotions_at_once_one_wins(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate, gates: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(context, model="models:/delays/1")
    evaluate(2, 0.8, 1, 0.7)
    evaluate(3, 0.8, 1, 0.7)
    together = threading.Barrier(2)
    locked = type(tracking.registry).alias_lock

    def both_arrive(self: Any, name: str, alias: str) -> Any:
        together.wait(60)
        return locked(self, name, alias)

    monkeypatch.setattr(type(tracking.registry), "alias_lock", both_arrive)
    ended: dict[int, PromoteResult | ModelyardError] = {}

    def work(version: int) -> None:
        try:
            ended[version] = promote(with_key(context, f"k{version}"), model=f"models:/delays/{version}", gates=gates)
        except ModelyardError as error:
            ended[version] = error

    threads = [threading.Thread(target=work, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    won = [version for version, end in ended.items() if isinstance(end, PromoteResult)]
    lost = [end for end in ended.values() if isinstance(end, ChampionMoved)]
    assert (len(won), len(lost)) == (1, 1), ended
    assert champion(tracking) == won[0]
    assert lost[0].facts["found"] == f"models:/delays/{won[0]}"


def test_who_finds_the_version_promoted_meanwhile_leaves_its_record_as_it_is(
    context: OperationContext, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(context, model="models:/delays/1")
    locked = type(tracking.registry).alias_lock
    others: list[PromoteResult] = []

    def after_another(self: Any, name: str, alias: str) -> Any:
        monkeypatch.setattr(type(tracking.registry), "alias_lock", locked)
        others.append(promote(with_key(context, "second"), model="models:/delays/2"))
        return locked(self, name, alias)

    monkeypatch.setattr(type(tracking.registry), "alias_lock", after_another)
    result = promote(with_key(context, "third"), model="models:/delays/2")

    assert result == others[0]
    assert (result.previous, result.first) == ("models:/delays/1", False)
    assert (record(tracking, 2)["key"], record(tracking, 2)["previous"]) == ("second", "models:/delays/1")


# --- again ------------------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_result_even_when_the_world_has_moved_on(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    evaluate(1, 0.74)
    first = promote(context, model="models:/delays/1", gates=GATES)
    before = record(tracking, 1)
    evaluate(1, 0.1, 1, 0.1)
    assert promote(context, model="models:/delays/1", gates=GATES) == first
    promote(with_key(context, "second"), model="models:/delays/2")
    assert promote(context, model="models:/delays/1", gates=GATES) == first
    assert champion(tracking) == 2
    assert record(tracking, 1) == before


def test_another_key_judges_again_and_moves_nothing(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    evaluation = evaluate(1, 0.74)
    first = promote(context, model="models:/delays/1", gates=GATES)
    again = promote(with_key(context, "second"), model="models:/delays/1", evaluation=evaluation, gates=GATES)
    assert again == first
    assert record(tracking, 1)["key"] == "first"
    with pytest.raises(GateFailed):
        promote(with_key(context, "third"), model="models:/delays/1", evaluation=evaluation, gates=["roc_auc > 0.9"])
    assert champion(tracking) == 1


def test_a_new_generation_of_a_key_moves_the_alias_back(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    promote(context, model="models:/delays/1")
    promote(with_key(context, "second"), model="models:/delays/2")
    result = promote(with_key(context, "first", generation=2), model="models:/delays/1")
    assert (result.previous, champion(tracking)) == ("models:/delays/2", 1)


@pytest.mark.parametrize("dies_at", ["point_alias", "tag_version"])
def test_a_promotion_that_died_half_way_is_completed_by_its_key(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    promote(context, model="models:/delays/1")
    evaluate(2, 0.8, 1, 0.7)
    registry = type(tracking.registry)
    real = getattr(registry, dies_at)
    calls = []

    def dying(self: Any, *given: Any) -> None:
        calls.append(given)
        if dies_at == "point_alias" or len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *given)

    again = with_key(context, "second")
    with monkeypatch.context() as patch:
        patch.setattr(registry, dies_at, dying)
        with pytest.raises(KeyboardInterrupt):
            promote(again, model="models:/delays/2", gates=GATES)
    assert record(tracking, 2)["done"] is False
    assert champion(tracking) == (1 if dies_at == "point_alias" else 2)
    result = promote(again, model="models:/delays/2", gates=GATES)
    assert (result.previous, result.first, champion(tracking)) == ("models:/delays/1", False, 2)
    assert (record(tracking, 2)["done"], record(tracking, 2)["previous"]) == (True, "models:/delays/1")


def test_an_alias_that_was_set_by_hand_is_left_where_it_is(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    tracking.client.set_registered_model_alias("delays", "champion", "1")
    evaluate(1, 0.74, 1, 0.74)
    result = promote(context, model="models:/delays@champion", gates=GATES)
    assert (result.model, result.previous, result.first) == ("models:/delays/1", None, False)
    assert record(tracking, 1)["done"] is True


def test_the_result_is_json() -> None:
    assert set(promote.spec.result_schema()["required"]) == {"model", "name", "alias", "previous", "gates", "first"}
    assert msgspec.json.encode(promote.spec)


# --- what people see before, and their no -----------------------------------------------------------------------------


def test_a_review_shows_what_the_promotion_would_be_decided_by_and_changes_nothing(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    tracking.set_alias("delays", "champion", 1, expected=None)
    evaluation = evaluate(2, 0.75, baseline=1, champion=0.744)
    shown = review(context, model="models:/delays/2", gates=GATES, alias="champion")

    assert shown == Review(
        model="models:/delays/2",
        name="delays",
        alias="champion",
        current="models:/delays/1",
        evaluation=evaluation,
        baseline="models:/delays/1",
        metrics={"roc_auc": 0.75},
        baseline_metrics={"roc_auc": 0.744},
        gates={
            "roc_auc >= 0.7": "0.75 >= 0.7: held",
            "roc_auc >= champion - 0.005": "0.75 >= 0.739 (champion 0.744 - 0.005): held",
        },
        report="",
        artifact="",
    )
    assert champion(tracking) == 1
    assert not [tag for tag in tracking.registry.version_tags("delays", 2) if "promotion" in tag]


def test_a_review_without_gates_shows_the_newest_evaluation_if_there_is_one(
    context: OperationContext, evaluate: Evaluate
) -> None:
    assert review(context, model="models:/delays/1", alias="champion").evaluation == ""
    evaluation = evaluate(1, 0.6)
    shown = review(context, model="models:/delays/1", alias="champion")
    assert (shown.evaluation, shown.metrics, shown.current, shown.gates) == (evaluation, {"roc_auc": 0.6}, "", {})


def test_a_review_refuses_what_the_promotion_would_refuse(
    context: OperationContext, tracking: Tracking, evaluate: Evaluate
) -> None:
    tracking.set_alias("delays", "champion", 1, expected=None)
    evaluation = evaluate(2, 0.65, baseline=1, champion=0.6)
    with pytest.raises(GateFailed, match=r"0\.65 >= 0\.7: failed"):
        review(context, model="models:/delays/2", evaluation=evaluation, gates=GATES, alias="champion")
    tracking.set_alias("delays", "champion", 3, expected=1)
    with pytest.raises(ChampionMoved):
        review(context, model="models:/delays/2", evaluation=evaluation, alias="champion")
    with pytest.raises(EvaluationNotFound):
        review(context, model="models:/delays/3", gates=GATES, alias="champion")


def test_a_rejection_says_at_the_version_who_when_and_why(context: OperationContext, tracking: Tracking) -> None:
    tracking.set_alias("delays", "champion", 1, expected=None)
    said = {"by": "bea", "reason": "worse at JFK", "evaluation": "abc"}
    rejection = reject(context, model="models:/delays/2", alias="champion", **said)

    written = json.loads(tracking.registry.version_tags("delays", 2)["modelyard.rejection.champion"])
    assert written.pop("at").endswith("+00:00")
    current = {"model": "models:/delays/2", "current": "models:/delays/1", "workflow_run": "run-1"}
    assert written == {**said, **current}
    assert rejection == Rejection(at=rejection.at, **written)
    assert champion(tracking) == 1
