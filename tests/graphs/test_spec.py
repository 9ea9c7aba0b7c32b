"""A graph as data: there and back exactly, as JSON and as YAML; what is wrong in it is named."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import probe_steps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.graphs import (
    Cache,
    CircuitBreaker,
    Event,
    Fallback,
    Graph,
    GraphInvalid,
    Retry,
    StepFailed,
    StepSettings,
    json_schema,
)
from modelyard.graphs.schemas import write_schema
from modelyard.graphs.spec_text import read_text, write_text

PUBLISHED = Path(__file__).parents[2] / "docs/graph.schema.json"
EVERY_SETTING = StepSettings(
    input_path="a.b",
    result_path="c",
    timeout=2.5,
    retries=Retry(attempts=4, base=0.0, cap=1.0, on=("ValueError", "json.JSONDecodeError")),
    fallback=Fallback(value={"late": None}),
    circuit_breaker=CircuitBreaker(failures=3, rate=0.5, window=7, seconds=1.5),
    concurrency="thread",
    max_in_flight=3,
    cache=Cache(key="k", seconds=3.0, size=5),
    condition="a.vip",
    validate=True,
    vectorised=True,
)


def everything() -> Graph:
    """Return a graph in which everything occurs that can be written down."""
    inner = Graph("inner", parameters={"inner": True}).on_error(probe_steps.refuse, name="inner_handler")
    inner.to("operator:neg", name="negative").to(probe_steps.scale, factor=3.0)
    graph = Graph("everything", cycle_bound=3, parameters={"limit": 0.5, "names": ["a", "ü"], "none": None})
    start = graph.to(probe_steps.scale, name="first", factor=2.0)
    start.on_error(probe_steps.describe, name="handler", continue_at="last")
    start.filter(probe_steps.parse, name="parse")
    choice = graph.add_step(probe_steps.scale, name="again", after="first").choice("kind", name="kind")
    choice.when(True).to(inner)
    choice.when("no").to(probe_steps.Counter, name="counter", start=7)
    choice.when("way: back").cycle_to("first", bound=2)
    choice.otherwise().model("model", "models:/m@champion", timeout=1.0, concurrency="process")
    choice.on_error(continue_at="last")
    outlets = [graph.definition.nodes[name] for name in ("inner", "counter", "model")]
    join = graph.merge(*(_place(graph, node.name) for node in outlets), name="join", missing="partial", into="list")
    join.flat_map(probe_steps.parse, name="several").batch(3, seconds=1.5, key="$key").unbatch().to(
        "probe_steps:describe", name="last", full_event=True
    ).respond().queue(size=9, wait=0.5).to(probe_steps.scale, name="after", arguments={"factor": 1e-7})
    graph.on_error("probe_steps:describe", name="graph_handler")
    graph.definition.change("first", settings=EVERY_SETTING)
    return graph


def _place(graph: Graph, name: str) -> Any:
    from modelyard.graphs import Step

    return Step(graph.definition, name)


def test_everything_goes_there_and_back_exactly() -> None:
    """In MLRun the bound of a cycle's step was lost on the way."""
    spec = everything().to_spec()
    data = msgspec.to_builtins(spec)
    json_text = msgspec.json.encode(spec).decode()
    for form in (spec, data, json_text, json.dumps(data, indent=3), everything().to_yaml()):
        again = Graph.from_spec(form)
        assert again.to_spec() == spec
        assert again.to_yaml() == everything().to_yaml()
    again = Graph.from_spec(data)
    assert again.definition.nodes["first"].settings == EVERY_SETTING
    assert again.definition.nodes["kind"].cycles[0].bound == 2
    assert again.definition.cycle_bound == 3
    assert list(again.definition.nodes) == list(everything().definition.nodes)


def test_the_graph_of_a_specification_does_the_same() -> None:
    graph = Graph("g", parameters={"limit": 3})
    graph.to(probe_steps.scale, factor=2.5).to(probe_steps.Counter, start=1).respond()
    other = Graph.from_spec(graph.to_yaml())
    assert graph.test(4) == other.test(4) == {"count": 2, "body": 10.0}


def test_what_is_the_default_is_not_written() -> None:
    graph = Graph("g")
    graph.to("operator:neg").to("operator:abs", name="absolute")
    assert json.loads(msgspec.json.encode(graph.to_spec())) == {
        "name": "g",
        "steps": [
            {"name": "neg", "kind": "call", "use": "operator:neg"},
            {"name": "absolute", "kind": "call", "use": "operator:abs"},
        ],
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(arguments=st.dictionaries(TEXT, VALUES, max_size=4))
def test_arguments_go_there_and_back_exactly(arguments: dict[str, Any]) -> None:
    graph = Graph("g")
    graph.to("operator:neg", arguments=arguments)
    for text in (graph.to_yaml(), json.dumps(msgspec.to_builtins(graph.to_spec()), ensure_ascii=False)):
        found = Graph.from_spec(text).definition.nodes["neg"].arguments
        assert json.dumps(found) == json.dumps(arguments)


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "12:30", "1e3", "0x1f", "0o7", "2024-01-01", "~", "null", "", ".5"]
)
def test_yaml_means_what_it_says(text: str) -> None:
    written = write_text({"value": text, "key": {text: 1}})
    assert read_text(written) == {"value": text, "key": {text: 1}}
    if text in ("no", "yes", "on", "12:30", "2024-01-01"):
        assert read_text(f"value: {text}") == {"value": text}


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({1: "a"}, "(factor): a mapping's keys are text"),
        ({"a": [{"b": {1, 2}}]}, "(factor.a[0].b): not set"),
        (float("nan"), "(factor): nan is no number in JSON"),
        (float("-inf"), "(factor): -inf is no number in JSON"),
        (b"bytes", "(factor): not bytes"),
        (probe_steps.scale, "(factor): not function"),
    ],
)
def test_arguments_that_json_would_change_are_refused(value: Any, rule: str) -> None:
    graph = Graph("g")
    graph.to(probe_steps.scale, factor=value)
    with pytest.raises(GraphInvalid) as caught:
        graph.to_spec()
    assert str(caught.value) == f"graph g, step scale: the arguments must be JSON values {rule}."


def test_resources_cannot_be_written_down() -> None:
    graph = Graph("g").resource("table", dict)
    graph.to("operator:neg")
    with pytest.raises(GraphInvalid) as caught:
        graph.to_spec()
    assert str(caught.value) == (
        "graph g: resources (table) are code, and cannot be written down: let a step open them in its class."
    )


def spec(**changes: Any) -> dict[str, Any]:
    return {"name": "g", "steps": [{"name": "a", "kind": "call", "use": "operator:neg", **changes}]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            spec(tmeout=1),
            "graph g: the specification is not one of a graph: Object contains unknown field `tmeout` - at "
            "`$.steps[0]`. Did you mean timeout?",
        ),
        (
            spec(settings={"retires": 3}),
            "graph g: the specification is not one of a graph: Object contains unknown field `retires` - at "
            "`$.steps[0].settings`. Did you mean retries?",
        ),
        (
            {**spec(), "on_eror": {}},
            "graph g: the specification is not one of a graph: Object contains unknown field `on_eror`. "
            "Did you mean on_error?",
        ),
        (
            spec(kind="magic"),
            "graph g: the specification is not one of a graph: Invalid enum value 'magic' - at `$.steps[0].kind`.",
        ),
        (
            spec(settings={"retries": {"attempts": 0}}),
            "graph g: the specification is not one of a graph: retries needs attempts ≥ 1, base ≥ 0 and cap ≥ 0, not "
            "Retry(attempts=0, base=0.1, cap=10.0, on=()) - at `$.steps[0].settings.retries`.",
        ),
        ({"steps": []}, "the specification is not one of a graph: Object missing required field `name`."),
        ("- a\n- b", "a specification is a mapping, not list."),
        ("name: g\nname: h", "the specification is neither YAML nor JSON: the key 'name' is there twice"),
        ("name: [", "the specification is neither YAML nor JSON: "),
        ("1: 2", "the specification is neither YAML nor JSON: the key 1 is no text"),
        (spec(after=["b"]), "graph g, step a: it comes after 'b', which is not there. None is defined."),
        (spec(name="a:b"), "graph g, step a:b: a step's name has no colon."),
        (
            {"name": "g", "steps": [{"name": "a", "kind": "batch", "options": {"sise": 2}}]},
            "graph g, step a: a batch has no option 'sise'. Did you mean size?",
        ),
        (
            {"name": "g", "steps": [{"name": "a", "kind": "batch", "options": {"seconds": 2}}]},
            "graph g, step a: seconds is for a batch with across.",
        ),
    ],
)
def test_what_is_wrong_in_a_specification_is_named(given: Any, message: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        Graph.from_spec(given)
    said = str(caught.value)
    assert said.startswith(message) if isinstance(given, str) else said == message


def test_no_text_is_ever_code() -> None:
    """MLRun evaluates handlers in parentheses, and expressions for urls, bodies, headers and keys."""
    graph = Graph.from_spec(spec(use="(event + 1)"))
    with pytest.raises(Exception, match=r"there is no step '\(event \+ 1\)': it is not a dotted path"):
        graph.open()
    graph = Graph("g")
    graph.choice("__import__('os').getpid()", name="c").when("x").to("operator:neg")
    with pytest.raises(StepFailed, match="the body has no"):
        graph.test({})
    with pytest.raises(GraphInvalid, match="neither YAML nor JSON"):
        Graph.from_spec("name: !!python/object/apply:os.getpid []")


# --- the schema -------------------------------------------------------------------------------------------------------


def test_the_published_schema_is_the_present_one(tmp_path: Path) -> None:
    write_schema(tmp_path / "graph.schema.json")
    mend = "write it again: modelyard.graphs.schemas.write_schema(Path('docs/graph.schema.json'))"
    assert (tmp_path / "graph.schema.json").read_text() == PUBLISHED.read_text(), mend


def test_the_schema_is_one_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    undescribed = [
        f"{name}.{field}"
        for name, definition in json_schema()["$defs"].items()
        for field, said in definition["properties"].items()
        if not said.get("description")
    ]
    assert undescribed == []


def test_the_schema_takes_what_the_reader_takes() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert list(validator.iter_errors(json.loads(msgspec.json.encode(everything().to_spec())))) == []
    for wrong in (spec(tmeout=1), spec(settings={"retires": 3}), spec(kind="magic"), {"steps": []}):
        assert list(validator.iter_errors(wrong)) != []


def test_an_event_is_not_changed_by_the_way_a_graph_came_about() -> None:
    plan = Graph.from_spec(spec(settings={"input_path": "x", "result_path": "y"})).open()
    assert plan.run(Event({"x": 3})) == {"x": 3, "y": -3}
