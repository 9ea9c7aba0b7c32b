import json
from pathlib import Path

from command_lines import Command

from modelyard.graphs import Graph


def test_list_and_show(command: Command, shop: Path) -> None:
    assert json.loads(command("graphs", "list", "--json").out) == [
        {"name": "triple", "handler": "shop.serving:triple", "steps": ["multiply"], "models": {}}
    ]
    assert command("graphs", "list").out.splitlines()[1] == "triple  multiply  -       shop.serving:triple"
    assert "1  multiply  call  shop.serving:multiply  factor=3   yes" in command("graphs", "show", "triple").out
    assert json.loads(command("graphs", "show", "triple", "--json").out)["steps"][0]["name"] == "multiply"


def test_test_sends_a_body_through(command: Command, shop: Path) -> None:
    assert json.loads(command("graphs", "test", "triple", "--body", '{"x": 14}').out) == {"y": 42}
    (shop / "body.json").write_text('{"x": 2}')
    assert json.loads(command("graphs", "test", "triple", "--body", "@body.json").out) == {"y": 6}


def test_the_standard_input_is_a_body(shell: Command, shop: Path) -> None:
    assert json.loads(shell("graphs", "test", "triple", "--body", "@-", stdin='{"x": 1}').out) == {"y": 3}


def test_what_goes_wrong_is_one_line(command: Command, shop: Path) -> None:
    ended = command("graphs", "test", "triple", "--body", '{"z": 1}')
    assert ended.code == 7
    assert ended.err.count("\n") == 1
    assert "graph triple, step multiply" in ended.err
    assert "KeyError: 'x'" in ended.err
    ended = command("graphs", "test", "triple", "--body", "{x")
    assert (ended.code, ended.err.startswith("error: --body: must be JSON")) == (2, True)
    ended = command("graphs", "show", "tripel")
    assert (ended.code, "Did you mean triple?" in ended.err) == (3, True)


def test_what_was_recorded_can_be_replayed(command: Command, shop: Path) -> None:
    (shop / "bodies.jsonl").write_text('{"x": 1}\n\n{"x": 2.5}\n{"y": 1}\n')
    ended = command("graphs", "test", "triple", "--bodies", "bodies.jsonl", "--record", "golden.jsonl")
    lines = ended.out.splitlines()
    assert (ended.code, lines[:2], lines[2][:42]) == (
        0,
        ['#1 200 {"y":3}', '#2 200 {"y":7.5}'],
        "#3 500 graph triple, step multiply, event ",
    )
    assert len((shop / "golden.jsonl").read_text().splitlines()) == 3
    ended = command("graphs", "test", "triple", "--replay", "golden.jsonl")
    assert (ended.code, ended.out) == (0, "3 of 3 replies are as recorded\n")
    golden = (shop / "golden.jsonl").read_text().replace('"reply":{"y":7.5}', '"reply":{"y":7.4}')
    (shop / "golden.jsonl").write_text(golden)
    ended = command("graphs", "test", "triple", "--replay", "golden.jsonl")
    assert ended.code == 6
    assert "  $.y\n    - 7.4\n    + 7.5\n2 of 3 replies are as recorded\n" in ended.out
    assert ended.err == (
        "error: 1 of 3 replies differ from the recorded ones: #2. If they should, record them again.\n"
    )
    assert command("graphs", "test", "triple", "--replay", "golden.jsonl", "--tolerance", "0.02").code == 0
    assert command("graphs", "test", "triple", "--replay", "golden.jsonl", "--ignore", "$.y").code == 0
    shown = json.loads(command("graphs", "test", "triple", "--replay", "golden.jsonl", "--json").out)
    [different] = shown["error"]["facts"]["different"]
    assert (different["number"], different["differences"]) == (2, [{"path": "$.y", "expected": "7.4", "got": "7.5"}])
    words = ("graphs", "test", "triple", "--replay", "golden.jsonl", "--tolerance", "0.02", "--json")
    assert json.loads(command(*words).out) == {"total": 3, "different": []}


def test_one_body_can_be_recorded(command: Command, shop: Path) -> None:
    ended = command("graphs", "test", "triple", "--body", '{"x": 2}', "--record", "one.jsonl", "--json")
    assert json.loads(ended.out)["reply"] == {"y": 6}
    assert json.loads((shop / "one.jsonl").read_text())["body"] == {"x": 2}


def test_files_that_cannot_be_used_are_told(command: Command, shop: Path) -> None:
    (shop / "bad.jsonl").write_text('{"x": 1}\n{x\n')
    for words, code, said in [
        (["--bodies", "bad.jsonl"], 2, "--bodies: bad.jsonl has no JSON on line 2"),
        (["--replay", "none.jsonl"], 2, "none.jsonl: the file cannot be read: No such file or directory"),
        (["--body", "1", "--record", "none/x.jsonl"], 2, "--record: none/x.jsonl cannot be written"),
        (["--body", "1", "--replay", "x"], 2, "--body, --bodies and --replay exclude each other"),
    ]:
        ended = command("graphs", "test", "triple", *words)
        assert (ended.code, said in ended.err) == (code, True), ended.err


def test_a_graph_of_mlrun_becomes_one_of_ours(command: Command, shop: Path) -> None:
    stored = "steps: {a: {handler: multiply, responder: true}}"
    (shop / "stored.yaml").write_text(stored)
    ended = command("graphs", "import", "stored.yaml", "--module", "shop.serving", "--name", "triple")
    assert ended.code == 0, ended.err
    assert Graph.from_spec(ended.out).test({"x": 4}) == {"y": 8}
    shown = json.loads(command("graphs", "import", "stored.yaml", "--module", "shop.serving", "--json").out)
    assert (shown["name"], shown["steps"][0]["arguments"]) == ("imported", {"use": "shop.serving:multiply"})
    ended = command("graphs", "import", "stored.yaml")
    assert ended.code == 2
    assert "graph.steps.a.handler: 'multiply' has no module. Say in which module it is: module=…." in ended.err


def test_a_graph_with_branches_is_shown_whole(command: Command, shop: Path) -> None:
    (shop / "modelyard.yaml").write_text("name: shop\ngraphs: {roads: 'roads:roads'}\n")
    (shop / "roads.py").write_text(ROADS)
    lines = command("graphs", "show", "roads").out.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "steps 4",
        "errors roads:refuse",
        "",
        "STEP KIND RUNS ARGUMENTS REPLIES AFTER SETTINGS ERRORS",
        "1 divide call roads:divide - no - timeout=2, concurrency=thread roads:refuse → pick",
        "2 pick router modelyard.graphs.routers.by_field:ByField field=road no - - -",
        "2.1 pick.low call roads:low - no - - -",
        "2.2 pick.high call roads:low - no - - -",
        "3 end call roads:low - yes - - -",
        "4 aside call roads:low - no pick - -",
    ]
    drawn = command("graphs", "show", "roads", "--mermaid").out
    assert drawn.startswith("flowchart LR\n    input((input))\n")
    assert 'n_divide -. "error" .-> n_divide_error["refuse"]' in drawn


def test_a_reply_with_a_status_is_told_with_it(command: Command, shop: Path) -> None:
    (shop / "modelyard.yaml").write_text("name: shop\ngraphs: {roads: 'roads:strict'}\n")
    (shop / "roads.py").write_text(ROADS)
    ended = command("graphs", "test", "roads", "--body", "0")
    assert (ended.code, json.loads(ended.out), ended.err) == (0, {"error": "division by zero"}, "status 422\n")
    told = json.loads(command("graphs", "test", "roads", "--body", "0", "--json").out)
    assert told == {"status": 422, "headers": {"x-why": "zero"}, "body": {"error": "division by zero"}}
    recorded = command("graphs", "test", "roads", "--body", "0", "--record", "golden.jsonl")
    assert recorded.out == '#1 422 {"error":"division by zero"}\n'


ROADS = """
from modelyard.graphs import Graph
from modelyard.graphs.routers import ByField


def divide(body):
    return 1 / body


def low(body):
    return body


def refuse(event, context):
    return context.response({"error": str(event.error)}, status=422, headers={"x-why": "zero"})


roads = Graph("roads")
step = roads.to(divide, timeout=2, concurrency="thread").on_error(refuse, continue_at="pick").router(
    ByField, name="pick", field="road", routes={"low": low, "high": low}
)
step.to(low, name="end").respond()
roads.add_step(low, name="aside", after="pick")
roads.on_error(refuse)
strict = Graph("strict")
strict.to(divide).on_error(refuse).respond()
"""
