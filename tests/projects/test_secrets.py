"""Secrets: by name, from variables and files, never shown."""

from pathlib import Path

import pytest

from modelyard.projects import SecretNotFound, Secrets, open_project

MEND = "Set TOKEN, or set TOKEN_FILE to the path of a file that holds it."


def test_a_variable_comes_before_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    file = str(tmp_path / "token")

    assert Secrets(["TOKEN"], "prod", {"TOKEN": "from a variable", "TOKEN_FILE": file})["TOKEN"] == "from a variable"
    assert Secrets(["TOKEN"], "prod", {"TOKEN_FILE": file})["TOKEN"] == "from a file"


def test_only_the_last_newline_of_a_file_goes(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("line 1\nline 2 \n\n")

    assert Secrets(["KEY"], "prod", {"KEY_FILE": str(tmp_path / "key")})["KEY"] == "line 1\nline 2 \n"


def test_a_value_is_read_when_asked_for() -> None:
    variables: dict[str, str] = {}
    secrets = Secrets(["TOKEN"], "prod", variables)
    variables["TOKEN"] = "now"

    assert secrets["TOKEN"] == "now"


def test_a_missing_value_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SecretNotFound) as caught:
        Secrets(["TOKEN"], "prod", {})["TOKEN"]
    assert str(caught.value) == (
        f"the secret TOKEN has no value; looked in the variable TOKEN and the variable TOKEN_FILE. {MEND}"
    )

    with pytest.raises(SecretNotFound) as caught:
        Secrets(["TOKEN"], "prod", {"TOKEN_FILE": f"{tmp_path}/gone"})["TOKEN"]
    assert str(caught.value) == (
        "the secret TOKEN has no value; looked in the variable TOKEN and the file "
        f"{tmp_path}/gone (No such file or directory). {MEND}"
    )


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff")

    with pytest.raises(SecretNotFound, match=r"\(not UTF-8 text\)"):
        Secrets(["TOKEN"], "prod", {"TOKEN_FILE": str(tmp_path / "token")})["TOKEN"]


def test_an_undeclared_secret_is_not_looked_for() -> None:
    with pytest.raises(SecretNotFound) as caught:
        Secrets(["TOKEN"], "prod", {"TOKN": "x"})["TOKN"]
    assert str(caught.value) == (
        "the environment 'prod' declares no secret TOKN. Did you mean TOKEN? "
        "Or add it to environments.prod.secrets in modelyard.yaml."
    )


def test_no_value_is_ever_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    (tmp_path / "modelyard.yaml").write_text("name: x\nenvironments: {dev: {secrets: [TOKEN, OTHER]}}")
    secrets = open_project(tmp_path).environment().secrets

    assert secrets["TOKEN"] == "s3cret"
    assert repr(secrets) == str(secrets) == "Secrets('dev', names=['TOKEN', 'OTHER'])"
    assert (list(secrets), len(secrets), "TOKEN" in secrets, "X" in secrets) == (["TOKEN", "OTHER"], 2, True, False)
