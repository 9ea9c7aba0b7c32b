from modelyard.operations import ParameterType
from modelyard.workflows import InputReference, Reference, Step, Workflow, WorkflowInput, as_mermaid


def test_inputs_steps_and_arrows_are_drawn() -> None:
    flow = Workflow(
        "main",
        (
            Step("prepare", "call", {"parameters": {"month": InputReference("month")}}),
            Step(
                "end",
                "train",
                {"dataset": Reference("prepare", "value", ("train", 0)), "more": [Reference("prepare", "value")]},
            ),
            Step("report", "report", after=("end", "prepare")),
        ),
        (
            WorkflowInput("month", ParameterType("integer"), required=True),
            WorkflowInput("name", ParameterType("string"), default='a "b"'),
        ),
    )
    assert as_mermaid(flow).splitlines() == [
        "flowchart TD",
        '    input_0(["month: int"])',
        "    input_1([\"name: str = 'a #quot;b#quot;'\"])",
        '    step_0["prepare<br/><i>call</i>"]',
        '    step_1["end<br/><i>train</i>"]',
        '    step_2["report"]',
        "    input_0 --> step_0",
        "    step_0 -->|value.train#91;0#93;, value| step_1",
        "    step_1 -.-> step_2",
        "    step_0 -.-> step_2",
    ]
