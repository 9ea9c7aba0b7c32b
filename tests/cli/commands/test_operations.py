import json

from command_lines import Command


def test_list_has_ours_and_others(command: Command) -> None:
    lines = command("operations", "list").out.splitlines()
    assert lines[0].split() == ["OPERATION", "WHAT", "IT", "DOES"]
    assert "probe-echo  Return what arrived." in lines
    listed = {each["name"]: each["summary"] for each in json.loads(command("operations", "list", "--json").out)}
    assert listed["probe-fail"] == "Fail."
    assert "undeploy" in listed


def test_show_says_what_it_takes_and_returns(command: Command) -> None:
    lines = command("operations", "show", "probe-fail").out.splitlines()
    assert lines[:3] == ["does            Fail.", "implementation  probe_commands:fail", "side effects    none"]
    assert lines[5] == "--kind     str   required  The kind of the error; defect for one that is not ours."
    assert lines[8] == "done   bool  Whether it is done."


def test_show_has_schemas_for_programs(command: Command) -> None:
    shown = json.loads(command("operations", "show", "probe-fail", "--json").out)
    assert shown["parameter_schema"]["required"] == ["kind"]
    assert shown["result_schema"]["properties"]["done"]["type"] == "boolean"


def test_an_unknown_operation_suggests_the_near_one(command: Command) -> None:
    ended = command("operations", "show", "probe-fial")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "error: there is no operation 'probe-fial'. Did you mean probe-fail?\n"
