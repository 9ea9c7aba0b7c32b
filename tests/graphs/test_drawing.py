"""Drawings: Mermaid and SVG of everything that a graph can consist of, also of a graph that breaks a rule."""

import re
import xml.etree.ElementTree as ET
from typing import Any

from modelyard.graphs import Graph

SVG = "{http://www.w3.org/2000/svg}"


def same(body: Any) -> Any:
    return body


def everything() -> Graph:
    inner = Graph("inner").on_error(same, name="inner catch")
    inner.to(same, name="one").to(same, name='two "x" <b>')
    graph = Graph("demo", cycle_bound=3)
    choice = graph.to(same, name="parse").on_error(same, name="refuse").choice("kind", name="a.kind")
    ways = [choice.when("x").to(inner), choice.when("y").model("m", "models:/m@c", concurrency="process")]
    choice.when("again # 1").cycle_to("parse")
    ways.append(choice.otherwise().filter(bool, name="a_kind"))
    join = ways[0].merge(*ways[1:], missing="partial", name="join").respond()
    join.queue().to(same, name="later", concurrency="thread")
    join.to(same, name="end").on_error(continue_at="later").cycle_to("end", bound=2)
    return graph.on_error(same, name="catch")


def test_mermaid_shows_steps_outlets_errors_cycles_borders_frames_and_the_reply() -> None:
    assert everything().show().mermaid == (
        "flowchart LR\n"
        "    input((input))\n"
        '    n_parse["parse"]\n'
        '    n_a_kind{"a.kind"}\n'
        '    subgraph g_inner["inner"]\n'
        '        n_inner_one["one"]\n'
        '        n_inner_two__x___b_["two #quot;x#quot; #lt;b#gt;"]\n'
        "    end\n"
        '    n_m(["m ⧉ process"])\n'
        '    n_a_kind_2{{"a_kind"}}\n'
        '    n_join[["join"]]\n'
        '    n_queue[("queue")]\n'
        '    n_later["later ∥ thread"]\n'
        '    n_end["end"]\n'
        "    input --> n_parse\n"
        '    n_parse -. "error" .-> n_parse_error["refuse"]\n'
        "    n_parse_error -.-> reply((reply))\n"
        "    n_parse --> n_a_kind\n"
        '    n_a_kind -. "again #35; 1, at most 3 times" .-> n_parse\n'
        '    n_a_kind -- "x" --> n_inner_one\n'
        "    n_inner_one --> n_inner_two__x___b_\n"
        '    n_a_kind -- "y" --> n_m\n'
        '    n_a_kind -- "otherwise" --> n_a_kind_2\n'
        "    n_inner_two__x___b_ --> n_join\n"
        "    n_m --> n_join\n"
        "    n_a_kind_2 --> n_join\n"
        "    n_join ==> reply((reply))\n"
        "    n_join --> n_queue\n"
        "    n_queue --> n_later\n"
        "    n_join --> n_end\n"
        '    n_end -. "at most 2 times" .-> n_end\n'
        '    n_end -. "error" .-> n_end_error["continue"]\n'
        "    n_end_error -.-> n_later\n"
        '    any(("any step")) -. "error" .-> graph_error["catch"]\n'
        "    graph_error -.-> reply((reply))\n"
        '    any_inner(("any step of inner")) -. "error" .-> graph_error_inner["inner catch"]\n'
        "    graph_error_inner -.-> reply((reply))\n"
    )


def test_every_id_of_mermaid_is_one_box() -> None:
    graph = Graph("g")
    place: Any = graph
    names = ["a.b", "a_b", "a b", "ä", "ö", "end", "subgraph", "1"]
    for name in names:
        place = place.to(same, name=name)
    ids = re.findall(r'^    (n_\w+)\["', graph.show().mermaid, flags=re.MULTILINE)
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"[0-9A-Za-z_]+", each) for each in ids)


def test_the_svg_is_a_drawing_of_its_own_with_a_box_for_each_and_an_arrow_for_each_way() -> None:
    drawing = everything().show()
    root = ET.fromstring(drawing.svg)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for name in ("input", "parse", "a.kind", "one", 'two "x" <b>', "m ⧉ process", "a_kind", "join", "queue", "reply"):
        assert texts.count(name) == 1, name
    for label in ("x", "y", "otherwise", "error", "again # 1, at most 3 times", "at most 2 times", "inner"):
        assert label in texts
    styles = [path.get("marker-end") for path in root.iter(f"{SVG}path") if path.get("marker-end")]

    assert len(styles) == len([line for line in drawing.mermaid.splitlines() if "->" in line or "==>" in line])

    assert {style.removeprefix("url(#tip-").removesuffix(")") for style in styles if style} == {
        "way",
        "back",
        "error",
        "handled",
        "reply",
    }
    markers = {marker.get("id") for marker in root.iter(f"{SVG}marker")}
    assert {(style or "")[5:-1] for style in styles} <= markers
    assert not re.search(r"(href|src)\s*=|<style|<script|https?://(?!www\.w3\.org/2000/svg)", drawing.svg)
    dashed = [each for each in root.iter(f"{SVG}rect") if each.get("stroke-dasharray")]
    assert len(dashed) == 1, "the border of another process"


def test_no_box_of_the_svg_covers_another() -> None:
    root = ET.fromstring(everything().show().svg)
    boxes = list(root.iter(f"{SVG}g"))
    places = set()
    for group in boxes:
        text = group.find(f"{SVG}text")
        assert text is not None
        places.add((text.get("x"), text.get("y")))
    assert len(places) == len(boxes) == 18
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert all(0 < float(x or 0) < width and 0 < float(y or 0) < height for x, y in places)


def test_a_notebook_shows_the_svg() -> None:
    drawing = everything().show()
    assert drawing._repr_svg_() == drawing.svg
    assert drawing._repr_mimebundle_() == {"image/svg+xml": drawing.svg, "text/plain": drawing.mermaid}
    assert str(drawing) == drawing.mermaid


def test_a_graph_that_breaks_a_rule_is_drawn_as_far_as_it_goes() -> None:
    graph = Graph("g")
    graph.to(same, name="a").cycle_to("nowhere")
    graph.to(same, name="b").on_error(continue_at="nowhere")
    shown = graph.show().mermaid
    assert "    n_a -. " in shown
    assert "reply" not in shown.replace("-.-> reply((reply))", "")
    ET.fromstring(graph.show().svg)
    loop = Graph("loop")
    loop.to(loop)
    assert '    n_loop["loop"]' in loop.show().mermaid
    assert Graph("empty").show().mermaid == "flowchart LR\n    input((input))\n"
    ET.fromstring(Graph("empty").show().svg)


def test_members_of_groups_are_drawn_inside() -> None:
    graph = Graph("g")
    graph.router(lambda event: "a", name="pick", routes={"a": same, "b": same})
    assert (
        '    subgraph n_pick["pick (router)"]\n        n_pick__0["a"]\n        n_pick__1["b"]\n    end\n'
        in graph.show().mermaid
    )
    assert "router: a, b" in graph.show().svg
