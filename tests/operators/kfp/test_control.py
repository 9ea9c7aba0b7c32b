"""What KFP's local runner does wrong and yet ends well: our ways around each, asserted by values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from door_component import door
from kfp import dsl
from kfp_release import needs_local_runner

from modelyard.operators.kfp import ComponentLibrary, Components, Image, Installed, holds, items_of
from modelyard.operators.kfp.errors import LoopWouldBend, SettingInvalid

Outputs = Callable[[str], dict[str, Any]]
QUOTED = 'it\'s "quoted"'


@pytest.fixture
def components(project: Path) -> Components:
    (project / "work.py").write_text(
        "def facts():\n"
        f"    return {{'word': {QUOTED!r}, 'rows': 7, 'score': 0.75, 'files': ['a', 'b'], 'flag': True}}\n"
        "def echo(**given):\n    return given\n"
    )
    return Components(delivery=Installed(), project=str(project))


def _values(root: Path) -> list[Any]:
    files = sorted(root.rglob("executor_output.json"), key=lambda file: file.stat().st_mtime_ns)
    found = [json.loads(file.read_bytes()).get("parameterValues", {}) for file in files]
    return [each["value"] for each in found if "value" in each]


@needs_local_runner
@pytest.mark.parametrize(
    ("path", "operator", "right", "expected"),
    [
        ("value.word", "==", QUOTED, True),
        ("value.word", "!=", QUOTED, False),
        ("value.rows", ">=", 7, True),
        ("value.score", "<", 0.75, False),
        ("value.flag", "==", True, True),
    ],
)
def test_a_condition_on_a_field_of_a_result_takes_the_right_branch_without_an_else(
    components: Components, local_runner: Path, path: str, operator: Any, right: Any, expected: bool
) -> None:
    @dsl.pipeline(name="condition")
    def condition() -> None:
        found = components.call(function="work:facts")
        good = holds(components, found.outputs["result"], path, operator, right)
        with dsl.If(good.output == True):  # noqa: E712
            components.call(function="work:echo", parameters={"taken": True})

    condition()

    assert _values(local_runner)[1:] == ([{"taken": True}] if expected else [])


@needs_local_runner
def test_a_loop_over_a_list_in_a_result_gets_its_items(components: Components, local_runner: Path) -> None:
    @dsl.pipeline(name="loop")
    def loop() -> None:
        found = components.call(function="work:facts")
        with dsl.ParallelFor(items_of(components, found.outputs["result"], "value.files").output) as file:
            components.call(function="work:echo", parameters={"file": file})

    loop()

    assert sorted(each["file"] for each in _values(local_runner)[1:]) == ["a", "b"]


def test_a_loop_that_takes_a_result_from_beside_it_is_refused_for_the_local_runner(components: Components) -> None:
    def define(library: ComponentLibrary) -> None:
        @dsl.pipeline(name="beside")
        def beside() -> None:
            found = library.start(door, {"text": "t"})
            with dsl.ParallelFor(["a", "b"]) as item:
                library.start(door, {"text": item, "settings": {"up": found.outputs["received"]}})

    with pytest.raises(LoopWouldBend) as caught:
        define(components)
    assert str(caught.value) == (
        "settings: KFP's local runner would put the loop's item in the place of the output received of door. "
        "Put the loop into a dsl.pipeline of its own, and call that with the value."
    )
    define(ComponentLibrary(delivery=Image(f"flights@sha256:{'0' * 64}"), project="/app"))


@needs_local_runner
def test_a_loop_in_a_pipeline_of_its_own_gets_the_value(components: Components, local_runner: Path) -> None:
    @dsl.pipeline(name="inner")
    def inner(word: str) -> None:
        with dsl.ParallelFor(["a", "b"]) as item:
            first = components.call(function="work:echo", parameters={"pair": [item, word]})
            components.call(function="work:echo", parameters={"again": first.outputs["value"]})

    @dsl.pipeline(name="outer")
    def outer() -> None:
        found = components.call(function="work:facts")
        inner(word=found.outputs["result"])

    outer()
    word = json.dumps({"value": {"word": QUOTED, "rows": 7, "score": 0.75, "files": ["a", "b"], "flag": True}})
    values = _values(local_runner)[1:]

    assert sorted(each["pair"][0] for each in values if "pair" in each) == ["a", "b"]
    assert {each["pair"][1] for each in values if "pair" in each} == {word}
    assert sorted(each["again"]["pair"][0] for each in values if "again" in each) == ["a", "b"]


def test_an_unknown_operator_is_refused(components: Components) -> None:
    with pytest.raises(SettingInvalid, match="operator: must be one of ==, !=, <, <=, >, >=, got '~'"):
        holds(components, "{}", "a", "~", 1)  # type: ignore[arg-type]
