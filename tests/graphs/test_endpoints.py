"""What graphs declare about their door: as code, as data, and what is refused when it is declared."""

from typing import Any

import pytest

from modelyard.graphs import BodyField, Chat, Endpoint, Graph, GraphInvalid, Parameter
from modelyard.graphs.endpoints import path_parts, template_parts


def declared() -> Graph:
    graph = Graph("g").chat("m", owner="us")
    graph.to("operator:neg")
    graph.api(
        "/a/{id}", method="get", parameters={"id": int}, query={"day": {"type": "number", "minimum": 1}, "dry": bool}
    )
    graph.api("/a", body={"x.y": "$.z[0]", "w": BodyField("w", default=[1])}, mandatory=["x.y"], reply={"r": "$"})
    return graph.api("/b/*", method="*", action="forbid", description="Nothing for you.")


def test_types_and_places_are_written_in_several_ways() -> None:
    first, second, third = declared().definition.endpoints
    assert first == Endpoint(
        "/a/{id}",
        "GET",
        parameters={"id": Parameter("integer")},
        query={"day": Parameter("number", minimum=1), "dry": Parameter("boolean")},
    )
    assert second.body == {"x.y": BodyField("$.z[0]", required=True), "w": BodyField("w", default=[1])}
    assert second.reply == {"r": BodyField("$")}
    assert (third.method, third.action) == ("*", "forbid")


def test_they_are_data_and_come_back_as_they_were() -> None:
    graph = declared()
    again = Graph.from_spec(graph.to_yaml())
    assert again.definition.endpoints == graph.definition.endpoints
    assert again.definition.chat == Chat("m", "us")
    assert again.to_spec() == graph.to_spec()


def test_a_variant_of_the_graph_keeps_them() -> None:
    graph = declared()
    other = graph.replacing(neg=abs)
    assert (other.definition.endpoints, other.definition.chat) == (graph.definition.endpoints, Chat("m", "us"))
    other.api("/c")
    assert (len(graph.definition.endpoints), len(other.definition.endpoints)) == (3, 4)


def test_they_do_not_change_what_the_graph_does() -> None:
    assert declared().test(3) == -3


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"path": "a"}, "POST a: a path begins with a slash, does not end with one and has no two in a row, not 'a'"),
        ({"path": "/a/"}, "a path begins with a slash"),
        ({"path": "/a?b"}, "a path is written as a client reads it, without query, blanks or escapes, not '/a?b'"),
        ({"path": "/a{b}"}, "a part of a path is text, {name}, or * as the last one, not 'a{b}'"),
        ({"path": "/*/a"}, "a part of a path is text, {name}, or * as the last one, not '*'"),
        ({"path": "/x/../y"}, "a part of a path is text, {name}, or * as the last one, not '..'"),
        ({"path": "/{a}/{a}"}, "a name is in a path once, not as in '/{a}/{a}'"),
        ({"path": "/v2/x"}, "the server answers there itself: choose another path"),
        ({"path": "/", "method": "GET"}, "the server answers there itself: choose another path"),
        ({"path": "/c", "method": "HEAD"}, "the method is one of GET, POST, PUT, PATCH, DELETE, WEBSOCKET, not 'HEAD'"),
        ({"path": "/c", "method": "*"}, "the method is one of GET, POST, PUT, PATCH, DELETE, WEBSOCKET, not '*'"),
        ({"path": "/c", "action": "deny"}, "Invalid enum value 'deny' - at `$.action`"),
        ({"path": "/a/{other}", "method": "GET"}, "GET /a/{id} is declared already"),
        ({"path": "/b/*", "method": "PUT"}, "* /b/* is declared already"),
        ({"path": "/c/{x}", "parameters": {"y": int}}, "the path has no {y}"),
        ({"path": "/c/{x}", "query": {"x": int}}, "'x' is in the path and in the query: give one of them another name"),
        ({"path": "/c", "query": {"x": "text"}}, "Invalid enum value 'text' - at `$.type`"),
        ({"path": "/c", "query": {"x": Parameter("integer", default=0.5)}}, "x is of the type integer, and 0.5 is not"),
        (
            {"path": "/c", "query": {"x": Parameter("integer", choices=(True,))}},
            "x is of the type integer, and True is not",
        ),
        ({"path": "/c", "query": {"x": Parameter(minimum=1)}}, "minimum and maximum of x are for numbers, not string"),
        ({"path": "/c", "query": {"x": Parameter(required=True, default="a")}}, "x is required, and needs no default"),
        ({"path": "/c", "query": {"x": int}, "body": {"x.y": "$.a"}}, "'x' is a parameter and a field of the body"),
        ({"path": "/c", "body": {"x": "$..a"}}, "'$..a' is no place in a body: write $.a.b, $.a[0] or $['a b']"),
        ({"path": "/c", "body": {"x[0]": "$.a"}}, "'x[0]' is no field to be filled: write a.b"),
        ({"path": "/c", "body": {"x": "$.a", "x.y": "$.b"}}, "'x.y' and 'x' fill the same place"),
        ({"path": "/c", "body": {"x": "$.a"}, "mandatory": ["z"]}, "the mandatory field 'z' is not in body. Known: x"),
        (
            {"path": "/c", "body": {"x": BodyField("a", type="integer", default="b")}},
            "x is of the type integer, and 'b' is not",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_declared(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        declared().api(**given)
    assert str(caught.value).startswith("graph g: the endpoint ")
    assert rule in str(caught.value)


def test_a_chat_has_a_name() -> None:
    with pytest.raises(GraphInvalid, match="a graph that chats has a name for its model"):
        Graph("g").chat("")


def test_a_specification_with_a_wrong_endpoint_is_refused() -> None:
    text = "{name: g, steps: [{name: neg, kind: call, use: 'operator:neg'}], endpoints: [{path: a}]}"
    with pytest.raises(GraphInvalid, match="the endpoint POST a: a path begins with a slash"):
        Graph.from_spec(text)


@pytest.mark.parametrize(
    ("text", "parts"), [("$", ()), ("a.b", ("a", "b")), ("$.a[12].b", ("a", 12, "b")), ("$['a b'].c", ("a b", "c"))]
)
def test_places_are_read(text: str, parts: tuple[str | int, ...]) -> None:
    assert path_parts(text) == parts


@pytest.mark.parametrize("text", ["", ".a", "$$", "a..b", "$.a[", "$.a[-1]", "a b.[x]"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no place in a body"):
        path_parts(text)


def test_the_root_has_no_parts() -> None:
    assert template_parts("/") == ()
