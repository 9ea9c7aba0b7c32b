import pytest

from modelyard.operations.errors import DeclarationInvalid
from modelyard.operations.reserved import COMMON_PARAMETERS, check_name


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("params", "airflow"),
        ("queue", "airflow"),
        ("pool", "airflow"),
        ("retries", "airflow"),
        ("Output", "kfp"),
        ("help", "cli"),
        ("context", "python"),
        *((name, "every door") for name in COMMON_PARAMETERS),
    ],
)
def test_a_name_that_a_door_keeps_is_refused_and_its_owner_named(name: str, owner: str) -> None:
    with pytest.raises(DeclarationInvalid, match=rf"^train: the name '{name}' belongs to {owner}\."):
        check_name(name, "train")


@pytest.mark.parametrize("name", ["Rows", "_rows", "max-rows", "2rows", ""])
def test_a_name_is_lower_case_with_underscores(name: str) -> None:
    with pytest.raises(DeclarationInvalid, match="must be lower case with underscores"):
        check_name(name, "train")


@pytest.mark.parametrize("name", ["dataset", "label_column", "rows2", "function", "parameters"])
def test_other_names_are_free(name: str) -> None:
    check_name(name, "train")
