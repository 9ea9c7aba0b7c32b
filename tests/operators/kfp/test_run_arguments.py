"""The arguments of a run are checked before anything is sent, and what KFP would bend is told apart."""

import json
from typing import Any

import pytest

from modelyard.operators.kfp.api_errors import ArgumentInvalid
from modelyard.operators.kfp.run_arguments import run_arguments

TYPES = {
    "text": "STRING",
    "count": "NUMBER_INTEGER",
    "ratio": "NUMBER_DOUBLE",
    "flag": "BOOLEAN",
    "names": "LIST",
    "settings": "STRUCT",
}


def _pipeline(*, exact: str | None = None, required: tuple[str, ...] = ()) -> dict[str, Any]:
    parameters: dict[str, Any] = {name: {"parameterType": kind, "defaultValue": "x"} for name, kind in TYPES.items()}
    for name in required:
        del parameters[name]["defaultValue"]
    if exact is not None:
        parameters["modelyard_exact"] = {"parameterType": "STRING", "defaultValue": exact}
    return {"pipelineInfo": {"name": "p"}, "root": {"inputDefinitions": {"parameters": parameters}}}


def test_text_is_read_by_the_declared_types() -> None:
    given = {"text": "7", "count": "7", "ratio": "3", "flag": "true", "names": '["a"]', "settings": '{"a": 1}'}

    assert run_arguments(_pipeline(), given) == {
        "text": "7",
        "count": 7,
        "ratio": 3.0,
        "flag": True,
        "names": ["a"],
        "settings": {"a": 1},
    }


def test_what_is_none_is_left_to_its_default() -> None:
    assert run_arguments(_pipeline(), {"count": None}) == {}


def test_a_document_with_a_platform_part_is_read_too() -> None:
    assert run_arguments({"pipeline_spec": _pipeline(), "platform_spec": {}}, {"count": 7}) == {"count": 7}


def test_a_pipeline_made_of_a_workflow_gets_what_kfp_would_bend_as_text() -> None:
    given = {"count": 2**60, "names": [1, None], "settings": {"one": 1.0}, "ratio": 3, "text": {"any": "thing"}}
    arguments = run_arguments(_pipeline(exact=""), given)

    assert {name: arguments[name] for name in given} == {
        "count": 0,
        "names": [],
        "settings": {},
        "ratio": 3.0,
        "text": '{"any": "thing"}',
    }
    assert json.loads(arguments["modelyard_exact"]) == {
        "count": [0, 2**60],
        "names": [[], [1, None]],
        "settings": [{}, {"one": 1.0}],
    }


def test_text_stays_text_where_a_workflow_takes_anything() -> None:
    arguments = run_arguments(_pipeline(exact=""), {"text": "007"})

    assert arguments == {"text": "007", "modelyard_exact": '{"text": ["007", "007"]}'}


def test_the_meaning_of_other_defaults_is_kept() -> None:
    default = json.dumps({"count": [0, 2**60], "names": [[], [None]]})

    arguments = run_arguments(_pipeline(exact=default), {"count": 0})
    assert arguments["count"] == 0
    assert json.loads(arguments["modelyard_exact"]) == {"names": [[], [None]]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 1}, "pipeline p: cuont: there is no such parameter. Did you mean count?"),
        ({"modelyard_exact": "{}"}, "pipeline p: modelyard_exact: there is no such parameter. Known: "),
        ({"count": "seven"}, 'pipeline p: count: must be a whole number, got "seven".'),
        ({"names": [[2**53 + 1]]}, "pipeline p: names: KFP would take digits from 9007199254740993: it keeps whole "),
        ({"settings": {"a": -(2**60)}}, "pipeline p: settings: KFP would take digits from -1152921504606846976: "),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentInvalid) as caught:
        run_arguments(_pipeline(exact="" if "modelyard_exact" in given else None), given)
    assert str(caught.value).startswith(message)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ArgumentInvalid) as caught:
        run_arguments(_pipeline(required=("text",)), {"count": 1})
    assert str(caught.value) == "pipeline p: text: is missing. Give a value for it."
