"""Variables in the values of environments."""

import pytest

from modelyard.projects.variables import UnsetVariable, check_variables, filled


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("plain $5 {x}", {}, "plain $5 {x}"),
        ("${A}${B}", {"A": "1", "B": "2"}, "12"),
        ("${A:-x}", {}, "x"),
        ("${A:-x}", {"A": ""}, "x"),
        ("${A:-}", {}, ""),
        ("${A}", {"A": ""}, ""),
        ("${A:-s3://b/c:1}", {}, "s3://b/c:1"),
        ("$${A}", {"A": "1"}, "${A}"),
        ("${A}", {"A": "${B}", "B": "2"}, "${B}"),
    ],
)
def test_values_are_filled_in_once(text: str, variables: dict[str, str], expected: str) -> None:
    assert check_variables(text) == ""
    assert filled(text, variables, "field") == expected


def test_an_unset_variable_is_told_with_its_field() -> None:
    with pytest.raises(UnsetVariable) as caught:
        filled({"a": [1, {"b": "${GONE}"}]}, {}, "deploy")

    assert (caught.value.name, caught.value.field) == ("GONE", "deploy.a[1].b")


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1}", "${A B}", "${A-b}", "${A:-${B}}"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    assert check_variables(text) == f'must hold a variable between ${{ and }}, got "{text}"'
