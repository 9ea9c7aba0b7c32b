"""Features looked up before a router."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from modelyard.graphs import Graph, GraphInvalid, ResourceMissing, Resources, StepFailed
from modelyard.graphs.routers import ByField, Enrich


class Table:
    """A feature reader that counts its look-ups."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, Any]]] = []

    def read(self, features: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.asked.append([dict(key) for key in keys])
        known: dict[str, dict[str, Any]] = {"N1": {"age": 12.0, "maker": "A"}, "N2": {"age": None, "maker": "B"}}
        return [{name: known.get(key["tail"], {}).get(name) for name in features} for key in keys]


def enriched(**options: Any) -> Graph:
    graph = Graph("g")
    told: dict[str, Any] = {"features": ["age", "maker"], "keys": ["tail"]} | options
    graph.to(Enrich, name="enrich", **told)
    return graph


def test_features_are_put_beside_the_bodys_fields_or_into_one() -> None:
    ports = Resources(features=Table())
    assert enriched().test({"tail": "N1", "x": 1}, resources=ports) == {
        "tail": "N1",
        "x": 1,
        "age": 12.0,
        "maker": "A",
    }
    told = enriched(into="plane").test({"tail": "N1"}, resources=ports)
    assert told == {"tail": "N1", "plane": {"age": 12.0, "maker": "A"}}
    told = enriched(keys={"tail": "on.plane"}).test({"on": {"plane": "N1"}}, resources=ports)
    assert told == {"on": {"plane": "N1"}, "age": 12.0, "maker": "A"}


def test_what_stands_for_a_feature_without_a_value_is_declared() -> None:
    ports = Resources(features=Table())
    assert enriched(impute={"age": 9.5}).test({"tail": "N2"}, resources=ports)["age"] == 9.5
    told = enriched(impute={"age": 9.5, "*": None}).test({"tail": "N3"}, resources=ports)
    assert told == {"tail": "N3", "age": 9.5, "maker": None}
    with pytest.raises(StepFailed) as caught:
        enriched().test({"tail": "N2"}, resources=ports)
    assert caught.value.what == "row 0: the feature 'age' is missing"
    assert caught.value.outcome.http == 422


def test_a_batch_is_looked_up_at_once() -> None:
    table = Table()
    rows = enriched(impute={"*": 0}).map([{"tail": "N1"}, {"tail": "N2"}], resources=Resources(features=table))
    assert [row["age"] for row in rows] == [12.0, 0]
    assert table.asked == [[{"tail": "N1"}, {"tail": "N2"}]]
    assert rows.vectorised


def test_a_router_decides_by_what_was_looked_up() -> None:
    routes = {"A": lambda body: f"{body['age']} years", "B": lambda body: "B"}
    graph = Graph("g")
    graph.to(Enrich, name="enrich", features=["age", "maker"], keys=["tail"]).router(
        ByField, field="maker", routes=routes
    )
    assert graph.test({"tail": "N1"}, resources=Resources(features=Table())) == "12.0 years"


def test_a_body_without_its_key_and_a_graph_without_a_reader_are_refused() -> None:
    with pytest.raises(StepFailed, match=r"tail: the key of the features is missing"):
        enriched().test({}, resources=Resources(features=Table()))
    with pytest.raises(ResourceMissing, match="graph g, step enrich: the step needs features"):
        enriched().open()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"features": []}, r"features is a list of at least one name, not \[\]"),
        ({"features": "age"}, "features is a list of at least one name, not 'age'"),
        ({"keys": "tail"}, "keys is a list of at least one field, or maps names to fields, not 'tail'"),
        ({"impute": {"weight": 1}}, "impute names 'weight', which is none of the features: age, maker"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid, match=told):
        enriched(**options).open(Resources(features=Table()))


class Saying:
    """A feature reader that says what it is told to."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def read(self, features: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> Any:
        return self.rows


def test_not_a_number_is_no_value() -> None:
    ports = Resources(features=Saying([{"age": float("nan"), "maker": "A"}]))
    assert enriched(impute={"age": 9.5}).test({"tail": "N1"}, resources=ports)["age"] == 9.5
    with pytest.raises(StepFailed, match=r"the feature 'age' is missing\. Given: maker"):
        enriched().test({"tail": "N1"}, resources=ports)


@pytest.mark.parametrize("rows", [None, [], [None], [{}, {}], {"age": 1}])
def test_a_reader_that_gives_no_row_for_each_key_is_told(rows: Any) -> None:
    with pytest.raises(
        StepFailed, match="the feature reader must give a list of 1 mappings, one for each key: "
    ) as caught:
        enriched().test({"tail": "N1"}, resources=Resources(features=Saying(rows)))
    assert caught.value.outcome.http == 500


def test_a_body_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(StepFailed, match="features are added to a mapping of fields, not to list"):
        enriched().test([{"tail": "N1"}], resources=Resources(features=Table()))


def test_what_stands_for_a_feature_is_not_shared_between_replies() -> None:
    ports = Resources(features=Table())
    graph = enriched(impute={"*": []})
    graph.test({"tail": "N3"}, resources=ports)["age"].append("spoiled")
    assert graph.test({"tail": "N3"}, resources=ports)["age"] == []
