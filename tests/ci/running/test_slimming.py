"""Of a workflow, a request runs what trains and measures, and nothing else."""

from modelyard.ci.running.slimming import slim, with_baseline
from modelyard.workflows import Workflow, steps, when, workflow
from modelyard.workflows.library import train_register_deploy, tune_then_train


@workflow
def whole(rows: int = 10) -> None:
    """Everything."""
    data = steps(name="prepare").call(function="prepare", parameters={"rows": rows})
    extra = steps(name="extra").call(function="other")
    trained = steps.train(function="fit", dataset=data.value["train"], label_column="late")
    version = steps.register(model=trained.model, name="m")
    judged = steps.evaluate(model=version.model, dataset=data.value["test"])
    champion = steps.promote(model=version.model, evaluation=judged.evaluation, gates=["auc >= 0.7"])
    steps(name="tell", after=champion).call(function="tell", parameters={"x": extra.value})
    steps.predict(model=champion.model, dataset=data.value["test"], destination="out")


def names(flow: Workflow) -> list[str]:
    return [step.name for step in flow.steps]


def test_what_leads_to_a_measurement_runs() -> None:
    found = slim(whole)
    assert names(found.workflow) == ["prepare", "train", "register", "evaluate"]
    assert found.left_out == ("extra", "promote", "tell", "predict")


def test_the_gates_of_the_promotion_are_kept() -> None:
    (judged,) = slim(whole).judged
    assert (judged.step.name, judged.gates) == ("evaluate", (["auc >= 0.7"],))
    assert judged.model is not None
    assert (judged.model.step, judged.model.field) == ("register", "model")


def test_targets() -> None:
    assert names(slim(whole, ["register"]).workflow) == ["prepare", "train", "register"]


@workflow
def branching(deep: bool = False) -> None:
    """Train, and in a branch measure; what hangs on a promotion never runs."""
    trained = steps.train(function="fit", dataset="d.parquet", label_column="late")
    version = steps.register(model=trained.model, name="m")
    with when(deep, name="deep"):
        judged = steps.evaluate(model=version.model, dataset="t.parquet")
    champion = steps.promote(model=version.model, gates=["auc >= 0.7"])
    with when(champion.first, name="after"):
        steps(name="again").evaluate(model=champion.model, dataset="t.parquet")
    del judged


def test_blocks_are_kept_as_far_as_they_lead_there() -> None:
    found = slim(branching)
    assert names(found.workflow) == ["train", "register", "evaluate"]
    assert [node.name for node in found.workflow.body] == ["train", "register", "deep"]
    assert found.left_out == ("promote", "again")
    assert found.judged[0].gates == (["auc >= 0.7"],)  # the promotion of the same model


def test_the_ready_workflows() -> None:
    assert names(slim(train_register_deploy).workflow) == ["train", "register", "evaluate"]
    assert "try" in names(slim(tune_then_train).workflow)
    assert "deploy" not in str(names(slim(tune_then_train).workflow))


@workflow
def training_alone() -> None:
    """Train and put it to work, unmeasured."""
    trained = steps.train(function="fit", dataset="d.parquet", label_column="late")
    steps(name="tell").call(function="tell", parameters={"m": trained.model})


@workflow
def telling() -> None:
    """Train nothing."""
    steps(name="tell").call(function="tell")


def test_where_nothing_is_measured_it_trains_and_where_nothing_is_trained_nothing_runs() -> None:
    assert names(slim(training_alone).workflow) == ["train"]
    found = slim(telling)
    assert (found.is_empty, found.left_out) == (True, ("tell",))


def test_another_baseline() -> None:
    flow = with_baseline(slim(branching).workflow, {"evaluate": "models:/m/1"})
    assert flow.step("evaluate").parameters["baseline"] == "models:/m/1"
    assert "baseline" not in slim(branching).workflow.step("evaluate").parameters
