"""Parameters as a host's form has them, and back."""

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.operations import ParameterInvalid
from modelyard.workflows import Workflow
from modelyard.workflows.engines.jobs.inputs import given_parameters, host_text, variable_of

Flow = Callable[[str], Workflow]
DEFAULTS = {
    "share": 0.5,
    "fine": 0.1 + 0.2,
    "large": 2**60,
    "name": "it's $HOME ä",
    "lines": "a\nb: null\n",
    "size": "s",
    "flag": True,
    "items": [1],
    "maybe": None,
}


def test_the_text_of_a_default_stands_for_it(flow: Flow) -> None:
    asking = flow("asking")
    shown = {each.name: host_text(each, each.default) for each in asking.inputs if not each.required}
    assert shown["fine"] == "0.30000000000000004"
    assert (shown["flag"], shown["items"], shown["maybe"]) == ("true", "[1]", "null")
    variables = {variable_of(name): text for name, text in shown.items()}
    bound = asking.bind(given_parameters(asking, {**variables, "MODELYARD_PARAMETER_ROWS": "3"}))
    assert bound == {"rows": 3, **DEFAULTS}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (
            '{"rows": "3", "maybe": "4", "flag": "false", "name": "", "items": ""}',
            {"maybe": 4, "flag": False, "name": ""},
        ),
        ('{"rows": "3", "share": "1", "items": "[2, 3]", "size": "m"}', {"share": 1.0, "items": [2, 3], "size": "m"}),
        ('{"rows": 3, "large": "1152921504606846977"}', {"large": 2**60 + 1}),
    ],
)
def test_one_variable_has_all(flow: Flow, given: str, meant: dict[str, Any]) -> None:
    asking = flow("asking")
    found = asking.bind(given_parameters(asking, {"MODELYARD_PARAMETERS": given}))
    assert found == {"rows": 3, **DEFAULTS, **meant}


@pytest.mark.parametrize("nothing", ["", "null", "{}"])
def test_a_schedule_gives_nothing(flow: Flow, nothing: str) -> None:
    assert given_parameters(flow("scheduled"), {"MODELYARD_PARAMETERS": nothing}) == {}


@pytest.mark.parametrize("text", ["[1]", "rows=3"])
def test_what_is_no_object_is_refused(flow: Flow, text: str) -> None:
    with pytest.raises(ParameterInvalid, match="MODELYARD_PARAMETERS: must be a JSON object"):
        given_parameters(flow("scheduled"), {"MODELYARD_PARAMETERS": text})
