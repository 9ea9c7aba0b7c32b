"""Routing by path and by field."""

from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.routers import ByField, ByPath


def saying(value: Any) -> Any:
    return lambda body: value


def by_path(**options: Any) -> Graph:
    graph = Graph("g")
    graph.router(
        ByPath, name="pick", routes={"late": saying("L"), "early": saying("E"), "late:2": saying("L2")}, **options
    )
    return graph


def test_the_path_names_the_route() -> None:
    graph = by_path()
    assert graph.test({}, path="/v2/models/late/infer") == "L"
    assert graph.test({}, path="/v2/models/early") == "E"
    assert graph.test({}, path="/v2/models/late/versions/2/infer") == "L2"
    assert graph.test({}, path="/v2/models/early/versions/9/infer") == "E"
    assert graph.test({}, path="/v2/models/late%3A2/infer?verbose=1") == "L2"


def test_the_prefix_can_be_another_or_none() -> None:
    assert by_path(prefix="/api").test({}, path="/api/late") == "L"
    assert by_path(prefix="").test({}, path="/early/infer") == "E"


def test_an_unknown_route_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(StepFailed) as caught:
        by_path().test({}, path="/v2/models/other/infer")
    assert caught.value.what == "there is no route 'other'"
    assert caught.value.mend == "Routes: late, early, late:2."
    assert caught.value.error_kind is ErrorKind.NOT_FOUND
    assert caught.value.outcome.http == 404
    assert caught.value.facts["step"] == "pick"


def test_an_event_without_a_route_takes_the_default_or_is_refused() -> None:
    assert by_path(default="early").test({}) == "E"
    assert by_path(default="early").test({}, path="/health") == "E"
    with pytest.raises(StepFailed) as caught:
        by_path().test({})
    assert caught.value.what == "the event does not say its route: in the path '/' behind /v2/models"
    assert caught.value.outcome.http == 422


def test_unknown_routes_may_have_a_route_of_their_own() -> None:
    graph = by_path(unknown="late", default="early")
    assert graph.test({}, path="/v2/models/other/infer") == "L"
    assert graph.test({}) == "E"


def test_a_field_names_the_route_where_the_path_does_not() -> None:
    graph = by_path(field="model", default="late")
    assert graph.test({"model": "early"}) == "E"
    assert graph.test({"model": "early"}, path="/v2/models/late") == "L"
    assert graph.test({"x": 1}) == "L"
    with pytest.raises(StepFailed, match="there is no route 'other'"):
        graph.test({"model": "other"})


def test_paths_from_outside_fill_no_memory() -> None:
    graph = by_path(default="late")
    plan = graph.open()
    strategy: Any = plan.groups["pick"].strategy
    for number in range(5000):
        graph.test({}, path=f"/v2/models/late/versions/{number}/infer")
        with pytest.raises(StepFailed):
            graph.test({}, path=f"/v2/models/{number}")
    assert len(strategy._found) <= 4096


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prefix": "v2/"}, "prefix begins with a slash and ends without one, it is 'v2/'"),
        ({"default": "x"}, "default is a route, 'x' is none: late, early, late:2"),
        ({"unknown": "x"}, "unknown is a route, 'x' is none: late, early, late:2"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        by_path(**options).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def by_field(**options: Any) -> Graph:
    graph = Graph("g")
    graph.router(ByField, name="pick", routes={"a": saying("A"), "b": saying("B")}, **options)
    return graph


def test_a_field_names_the_route_itself_or_through_values() -> None:
    assert by_field(field="kind").test({"kind": "b"}) == "B"
    assert by_field(field="on.kind").test({"on": {"kind": "a"}}) == "A"
    graph = by_field(field="flag", values={"true": "a", "false": "b", "3": "a", "null": "b"})
    assert [graph.test({"flag": flag}) for flag in (True, False, 3, None)] == ["A", "B", "A", "B"]


def test_a_body_without_the_field_takes_the_default_or_is_refused() -> None:
    assert by_field(field="kind", default="b").test({}) == "B"
    with pytest.raises(StepFailed) as caught:
        by_field(field="kind").test({"other": 1})
    assert caught.value.what == "the event does not say its route: it has no field 'kind'"
    assert caught.value.mend == "Routes: a, b."


def test_a_value_that_is_no_route_is_not_found() -> None:
    assert by_field(field="kind", unknown="a").test({"kind": "c"}) == "A"
    with pytest.raises(StepFailed, match="there is no route 'c'") as caught:
        by_field(field="kind").test({"kind": "c"})
    assert caught.value.outcome.http == 404


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"field": ""}, "field names a field of the body, it is ''"),
        ({"field": "x", "values": {"1": "c"}}, "values['1'] is a route, 'c' is none: a, b"),
        ({}, "its arguments do not fit: missing a required argument: 'field'"),
    ],
)
def test_wrong_fields_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        by_field(**options).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def test_batches_go_by_route_and_come_back_in_order_with_errors_by_row() -> None:
    graph = Graph("g")
    routes = {"a": Counting, "b": {"use": Counting, "factor": 10}}
    graph.router(ByField, name="pick", field="kind", routes=routes)
    bodies = [{"kind": "b", "x": 1}, {"kind": "a", "x": 2}, {"kind": "b", "x": 3}]
    rows = graph.map(bodies)
    assert (list(rows), rows.vectorised) == ([10, 2, 30], True)
    bad = [{"kind": "c"}, bodies[0], {"kind": "a", "x": None}]
    rows = graph.map(bad)
    assert list(rows) == [None, 10, None]
    assert {row: (error.what, error.where.partition(", event")[0]) for row, error in rows.errors.items()} == {  # type: ignore[attr-defined]
        0: ("there is no route 'c'", "graph g, step pick"),
        2: (
            "the step raised TypeError: unsupported operand type(s) for *: 'int' and 'NoneType'",
            "graph g, step pick.a",
        ),
    }


class Counting:
    """Takes rows at once."""

    def __init__(self, factor: int = 1) -> None:
        self.factor = factor

    def do(self, body: Any) -> Any:
        return self.factor * body["x"]

    def do_batch(self, bodies: Any) -> Any:
        return [self.do(body) for body in bodies]


def test_values_are_compared_as_json_writes_them() -> None:
    graph = by_field(field="f", values={True: "a", 3: "b"})
    assert (graph.test({"f": True}), graph.test({"f": "3"}), graph.test({"f": 3})) == ("A", "B", "B")


def test_a_table_of_values_is_a_mapping() -> None:
    with pytest.raises(GraphInvalid, match="step pick: values maps values to routes, it is list"):
        by_field(field="f", values=["a"]).open()


@pytest.mark.parametrize("wanted", [["late"], {"x": 1}, 0])
def test_what_is_no_text_in_the_field_is_an_unknown_route(wanted: Any) -> None:
    with pytest.raises(StepFailed, match="there is no route ") as caught:
        by_path(field="model").test({"model": wanted})
    assert caught.value.error_kind is ErrorKind.NOT_FOUND
