"""What a model step means: references, classes and functions, as data and with other references."""

from typing import Any

import probe_served
import pytest

from modelyard.graphs import Graph, GraphInvalid, Resources
from modelyard.graphs.models import ModelRunner
from modelyard.graphs.models.nodes import is_code, model_references, with_model_references


@pytest.mark.parametrize(
    ("use", "code"),
    [
        ("models:/delays@champion", False),
        ("models:/delays/3", False),
        ("models:/m-0123", False),
        ("delays", False),
        ("group.member", False),
        ("runs:/abc/model", False),
        ("package.module:Class", True),
        ("module:function", True),
        (probe_served.Times, True),
        (probe_served.half, True),
        ("", False),
    ],
)
def test_a_dotted_path_with_a_colon_is_code_and_any_other_text_a_reference(use: Any, code: bool) -> None:
    assert is_code(use) is code


NESTED = {
    "models": {
        "a": "models:/a@champion",
        "b": "package.module:function",
        "c": {"use": "package.module:Class", "source": "models:/c/1"},
        "d": {
            "use": "",
            "arguments": {"versions": {"1": "models:/d/1", "2": {"source": "models:/d/2"}}, "default": "1"},
        },
        "e": {"use": "models:/e/1", "concurrency": "thread"},
    }
}


def test_references_are_found_in_versions_and_models() -> None:
    found = model_references(ModelRunner, NESTED)
    assert found == {
        "a": "models:/a@champion",
        "c": "models:/c/1",
        "d.1": "models:/d/1",
        "d.2": "models:/d/2",
        "e": "models:/e/1",
    }
    given = {name: f"models:/new-{name}/9" for name in found}
    use, changed = with_model_references(ModelRunner, NESTED, given)
    assert (use, model_references(use, changed)) == (ModelRunner, given)
    assert model_references(ModelRunner, NESTED) == found
    same = with_model_references(ModelRunner, NESTED, {})
    assert same == (ModelRunner, NESTED)


def test_versions_without_a_name_of_their_own_may_have_dots() -> None:
    versions = {"versions": {"1.0": "models:/a/1", "1.0.1": "models:/a/2"}, "default": "1.0"}
    assert model_references("", versions) == {"1.0": "models:/a/1", "1.0.1": "models:/a/2"}
    _, changed = with_model_references("", versions, {"1.0.1": "models:/a/3"})
    assert model_references("", changed) == {"1.0": "models:/a/1", "1.0.1": "models:/a/3"}


@pytest.mark.parametrize(
    ("use", "arguments"),
    [
        ("models:/delays@champion", {"output": "label"}),
        (probe_served.Times, {"factor": 3}),
        ("probe_served:Times", {"versions": {"1": {"factor": 1}, "2": {"factor": 2}}, "default": "2"}),
        (probe_served.half, {"by": 4}),
        (ModelRunner, NESTED),
    ],
)
def test_a_model_step_is_the_same_after_it_was_written_down(use: Any, arguments: dict[str, Any]) -> None:
    graph = Graph("g")
    graph.model("m", use, **arguments)
    spec = graph.to_spec()
    again = Graph.from_spec(spec)
    assert again.to_spec() == spec
    assert again.models == graph.models
    assert spec.steps[0].kind == "model"
    assert isinstance(spec.steps[0].use, str)


def test_a_model_of_a_local_class_cannot_be_written_down() -> None:
    class Local(probe_served.Times):
        pass

    graph = Graph("g")
    graph.model("m", Local)
    assert graph.test(2) == 4
    with pytest.raises(GraphInvalid, match="step m: the step cannot be found again in another process"):
        graph.to_spec()


def test_models_of_inner_graphs_and_versions_keep_their_places() -> None:
    inner = Graph("inner")
    inner.model("ask", versions={"1": "models:/a/1"})
    graph = Graph("outer")
    graph.to(inner, name="part")
    assert graph.models == {"part.ask.1": "models:/a/1"}
    assert graph.with_models({"part.ask.1": "models:/a/2"}).models == {"part.ask.1": "models:/a/2"}


def test_members_of_routers_and_ensembles_are_models_like_any_other() -> None:
    from modelyard.graphs import Event
    from modelyard.graphs.groups import RouterStrategy

    class ByField(RouterStrategy):
        def select_body(self, body: Any) -> Any:
            return body["to"]

    class Tells(probe_served.Times):
        def predict(self, inputs: Any) -> Any:
            return inputs["x"] * self.factor

    graph = Graph("g")
    routes = {"a": {"model": Tells, "factor": 3}, "b": {"model": Tells, "versions": {"1": {"factor": 5}}}}
    graph.router(ByField, name="pick", routes=routes)
    assert graph.test({"to": "a", "x": 2}) == 6
    assert graph.test({"to": "b", "x": 2}) == 10
    plan = graph.open(Resources())
    assert plan.run(Event({"to": "a", "x": 2}, path="/v2/models/a/metrics")) == {"factor": 3}
    plan.close()
