"""Steps that ask for processors and memory share one machine, and are told what it cannot give."""

import logging
from typing import Any

import pytest

from modelyard.projects import ResourcesDefinition
from modelyard.workflows import Step, Workflow
from modelyard.workflows.engines import LocalEngine
from modelyard.workflows.engines.capacity import Capacity, bytes_of

MACHINE = Capacity(cpu=4, memory=8 * 2**30)


def step(name: str = "fit", **asked: Any) -> Step:
    return Step(name, "call", {"function": "one"}, resources=ResourcesDefinition(**asked) if asked else None)


@pytest.mark.parametrize(
    ("asked", "running", "room"),
    [
        ({"cpu": 4}, [], True),
        ({"cpu": 64}, [], True),
        ({"cpu": 2}, [{"cpu": 2}], True),
        ({"cpu": 2.5}, [{"cpu": 2}], False),
        ({"cpu": 1}, [{"cpu": 64}], False),
        ({}, [{"cpu": 64, "memory": "64Gi"}], True),
        ({"memory": "4Gi"}, [{"memory": "4Gi"}], True),
        ({"memory": "5Gi"}, [{"memory": "2Gi"}, {"memory": "2Gi"}], False),
        ({"memory": "5Gi"}, [{"cpu": 4}], True),
        ({"gpu": 1}, [{"gpu": 1}], True),
    ],
)
def test_a_step_waits_while_others_have_what_it_asks_for(
    asked: dict[str, Any], running: list[dict[str, Any]], room: bool
) -> None:
    assert MACHINE.has_room(step(**asked), [step(**each) for each in running]) is room


@pytest.mark.parametrize(
    ("text", "amount"), [("512", 512), ("1k", 1e3), ("2M", 2e6), ("0.5Gi", 2**29), ("1Ti", 2**40), ("3P", 3e15)]
)
def test_amounts_of_memory(text: str, amount: float) -> None:
    assert bytes_of(text) == amount


def test_what_the_machine_cannot_give_is_said_once_for_each_matter() -> None:
    steps = [step("a", gpu=1), step("b", cpu=8, memory="16Gi"), step("c"), step("d", gpu=2, cpu=5), step("e", cpu=4)]

    assert list(MACHINE.misfits(steps)) == [
        "no GPU is handed out on this machine, though asked for by: a, d",
        "this machine has 4 processors, fewer than asked for by: b, d",
        "this machine has 8.0Gi of memory, less than asked for by: b",
    ]
    assert list(MACHINE.misfits([step("c"), step("e", cpu=4, memory="8Gi")])) == []


def test_the_machine_is_measured() -> None:
    machine = Capacity.of_machine()

    assert machine.cpu >= 1
    assert machine.memory > 2**28


def test_steps_that_ask_for_the_whole_machine_run_one_after_the_other(
    traced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked = ResourcesDefinition(cpu=64)
    calls = tuple(Step(name, "call", {"function": "one"}, resources=asked) for name in ("a", "b", "c"))
    engine = LocalEngine(
        project=str(traced.root), project_name="traced", workflow_run="r", workers=3, capacity=Capacity(2, 2**30)
    )
    with caplog.at_level(logging.INFO, "modelyard.workflows"):
        outcome = engine.run(Workflow("wide", calls), {})
    lines = [record.getMessage() for record in caplog.records if record.name == "modelyard.workflows"]
    told = [line for line in lines if line.startswith(("step", "this"))]

    assert set(outcome.states.values()) == {"succeeded"}
    assert told[0] == "this machine has 2 processors, fewer than asked for by: a, b, c"
    assert [line.split(" in ")[0] for line in told[1:]] == [
        *("step 1/3 a: call", "step 1/3 a: succeeded"),
        *("step 2/3 b: call", "step 2/3 b: succeeded"),
        *("step 3/3 c: call", "step 3/3 c: succeeded"),
    ]
