import pytest

from modelyard.tracking import ModelNameInvalid, ModelReference, ModelReferenceInvalid
from modelyard.tracking.references import check_alias, check_model_name

MODEL_ID = f"m-{'0123456789abcdef' * 2}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:/delays@champion", {"name": "delays", "alias": "champion"}),
        ("models:/delays/12", {"name": "delays", "version": 12}),
        ("models:/late flights.v2/1", {"name": "late flights.v2", "version": 1}),
        (f"models:/{MODEL_ID}", {"model_id": MODEL_ID}),
        ("runs:/0a1b/model", {"run_id": "0a1b", "path": "model"}),
        ("runs:/0a1b/deep/model", {"run_id": "0a1b", "path": "deep/model"}),
    ],
)
def test_each_form_is_read(text: str, expected: dict[str, object]) -> None:
    assert ModelReference.parse(text) == ModelReference(text, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", ""),
        ("delays@champion", ""),
        ("models:/", ""),
        ("models:/delays", "neither an alias nor a version is given"),
        ("models:/delays/", "'' is no version number"),
        ("models:/delays/latest", "'latest' is no version number"),
        ("models:/delays/0", "'0' is no version number"),
        ("models:/delays/1/extra", "'1/extra' is no version number"),
        ("models:/delays@", "not allowed"),
        ("models:/@champion", "not allowed"),
        ("models:/delays@1st", "not allowed"),
        ("runs:/0a1b", "a run's model is runs:/run-id/model"),
        ("s3://bucket/model", ""),
    ],
)
def test_anything_else_says_what_to_write(text: str, rule: str) -> None:
    with pytest.raises(ModelReferenceInvalid) as raised:
        ModelReference.parse(text)
    assert rule in str(raised.value)
    assert str(raised.value).endswith("Write models:/name@alias, models:/name/3, models:/m-… or runs:/run-id/model.")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "a%20b", " delays", "x" * 201, MODEL_ID])
def test_names_that_no_reference_could_carry(name: str) -> None:
    with pytest.raises(ModelNameInvalid):
        check_model_name(name)


@pytest.mark.parametrize("alias", ["", "latest", "v3", "V12", "1st", "a b", "a@b", "x" * 256])
def test_aliases_that_mlflow_refuses(alias: str) -> None:
    with pytest.raises(ModelNameInvalid, match="the alias"):
        check_alias(alias)
    assert check_alias("vanguard") == "vanguard"
