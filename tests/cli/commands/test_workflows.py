import json
from pathlib import Path

from command_lines import Command


def test_list(command: Command, shop: Path) -> None:
    assert json.loads(command("workflows", "list", "--json").out) == [
        {"name": "main", "handler": "shop.flows:main", "summary": "Greet twice.", "steps": ["first", "second"]}
    ]
    assert command("workflows", "list").out.splitlines()[1] == "main      2      Greet twice.  shop.flows:main"


def test_show(command: Command, shop: Path) -> None:
    lines = command("workflows", "show", "main").out.splitlines()
    assert "names      list[str]  required  Whom to greet." in lines
    assert "times      int        2         How often." in lines
    assert "second  call       first      function=greet, parameters=name=first.value.hello[0]" in lines
    shown = json.loads(command("workflows", "show", "main", "--json").out)
    assert shown["steps"][1]["parameters"]["parameters"] == {"name": {"$from": "first.value.hello[0]"}}


def test_graph(command: Command, shop: Path) -> None:
    drawn = command("workflows", "graph", "main").out
    assert drawn.startswith("flowchart TD\n")
    assert "step_0 -->|value.hello#91;0#93;| step_1" in drawn
    assert json.loads(command("workflows", "graph", "main", "--json").out) == {"name": "main", "mermaid": drawn[:-1]}


def test_names_that_lead_elsewhere_are_refused(command: Command, shop: Path) -> None:
    ended = command("workflows", "show", "mian")
    assert (ended.code, ended.err.partition(": ")[2]) == (
        3,
        f"{shop}/modelyard.yaml: there is no workflow 'mian'. Did you mean main?\n",
    )
    ended = command("workflows", "show", "shop.serving:triple")
    assert (ended.code, ended.err) == (
        2,
        "error: shop.serving:triple: shop.serving:triple must be a workflow, got Graph. "
        "Mark the function with @workflow.\n",
    )


def test_a_project_without_workflows_says_so(command: Command, project: Path) -> None:
    assert command("workflows", "list").out == "The project names no workflow.\n"
    assert command("workflows", "list", "--json").out == "[]\n"


def test_compile_writes_what_an_engine_reads(command: Command, shop: Path, tmp_path: Path) -> None:
    from modelyard.workflows import Workflow

    made = command("workflows", "compile", "main").out
    assert [step.name for step in Workflow.decoded(made.encode()).steps] == ["first", "second"]
    words = ("--engine", "airflow", "--option", "project=bundle:shop", "--option", "schedule=@daily")
    ended = command("workflows", "compile", "main", *words, "--output", str(tmp_path / "dags/main.py"))
    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / "dags/main.py").read_text() == (
        '"""Greet twice."""\n\nfrom modelyard.workflows import airflow_dag\n\n'
        'dag = airflow_dag("bundle:shop", "main", schedule="@daily")\n'
    )
    ended = command("workflows", "compile", "main", "--engine", "airflow", "--option", "daily")
    assert (ended.code, ended.err) == (
        2,
        "error: --option takes NAME=VALUE, got daily. See modelyard workflows compile --help.\n",
    )
