import re

from modelyard.cli.options import OPERATION_FLAGS, Settings
from modelyard.operations.generation import cli_reference
from modelyard.operations.reserved import COMMON_PARAMETERS


def test_the_reference_lists_the_flags_that_there_are() -> None:
    page = cli_reference([])
    listed = re.findall(r"^\| `(--[a-z-]+)(?: ([^`]+))?`", page, re.MULTILINE)
    assert listed == [(flag.name, flag.metavar.replace("|", "\\|")) for flag in OPERATION_FLAGS]


def test_every_flag_is_a_setting_and_reserved() -> None:
    names = [flag.name.removeprefix("--").replace("-", "_") for flag in OPERATION_FLAGS]
    assert tuple(names) == Settings._fields
    assert set(COMMON_PARAMETERS) <= set(names)


def test_an_interpreter_means_a_process() -> None:
    given = dict.fromkeys(Settings._fields, "") | {"launcher": None}
    assert Settings.of(given).launcher == "inline"
    assert Settings.of({**given, "python": "/usr/bin/python3"}).launcher == "process"
    assert Settings.of({**given, "python": "/usr/bin/python3", "launcher": "inline"}).launcher == "inline"
