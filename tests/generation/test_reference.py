"""The reference pages say what the operations declare, and what their commands really take."""

import re

from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.generation import cli_reference, operations_reference


def _rows(page: str, chapter: str) -> dict[str, list[str]]:
    """Return the rows of a chapter's tables by what stands in their first cell."""
    text = page.split(f"\n## {chapter}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


def test_parameters_and_results_are_listed_with_type_default_and_meaning(specs: list[OperationSpec]) -> None:
    rows = _rows(operations_reference(specs), "wide-probe")

    assert rows["`text`"] == ["text", "**required**", "What it is; `code` and ``literals`` stay, and a \\| too."]
    assert rows["`sizes`"][:2] == ["a list of a list of a whole number", "`[[1,2],[3]]`"]
    assert rows["`choice`"][:2] == ["one of a, b\\|c", '`"b\\|c"`']
    assert rows["`note`"] == ["text, or nothing", "A note with a \\| and `code`."]


def test_every_table_has_as_many_cells_in_every_row(specs: list[OperationSpec]) -> None:
    for page in (operations_reference(specs), cli_reference(specs)):
        for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_the_command_line_page_has_every_flag_and_the_examples(specs: list[OperationSpec]) -> None:
    page = cli_reference(specs)
    rows = _rows(page, "wide-probe")

    assert [flag.split()[0].strip("`") for flag in rows if flag != "flag"] == [
        *("--text", "--dataset", "--count", "--big", "--ratio", "--flag", "--choice", "--phrase", "--names", "--sizes"),
        *("--settings", "--limits", "--models", "--anything"),
    ]
    assert rows["`--flag true\\|false`"][0] == "`true`"
    assert '```console\n$ modelyard wide-probe --text "a b" --dataset in.csv\n```' in re.sub(" +", " ", page)


def test_the_flags_are_those_of_the_commands() -> None:
    from modelyard.cli.operation import operation_command
    from modelyard.cli.options import OPERATION_FLAGS

    specs = list(load_catalogue().values())
    page = cli_reference(specs)
    common = {flag.name for flag in OPERATION_FLAGS}

    assert {flag.split()[0].strip("`") for flag in _rows(page, "Every operation")} - {"flag"} == common
    for spec in specs:
        flags = {option.opts[0] for option in operation_command(spec).params if option.opts[0].startswith("--")}
        rows = {flag.split()[0].strip("`") for flag in _rows(page, spec.name)} - {"flag"}
        assert rows == flags - common, spec.name
