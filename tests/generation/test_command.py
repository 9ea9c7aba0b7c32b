"""What is checked in is what the declarations give rise to today."""

from pathlib import Path

import pytest

from modelyard.operations.generation import checkout_root, generate
from modelyard.operations.generation.command import main
from modelyard.operations.generation.errors import CheckoutNotFound

REPOSITORY = Path(__file__).parents[2]


def test_nothing_has_drifted() -> None:
    assert generate(REPOSITORY, check=True) == [], "run: make generate"


def test_the_whole_is_generated_into_an_empty_place_as_it_is_checked_in(tmp_path: Path) -> None:
    written = generate(tmp_path)

    assert {matter for _, matter in written} == {"missing"}
    assert [path for path, _ in written if (tmp_path / path).read_bytes() != (REPOSITORY / path).read_bytes()] == []


def test_the_checkout_is_found_from_anywhere_inside() -> None:
    assert checkout_root() == REPOSITORY
    assert checkout_root(REPOSITORY / "docs") == REPOSITORY


def test_without_a_checkout_there_is_an_error_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckoutNotFound):
        checkout_root(tmp_path)

    assert main(["--root", str(tmp_path)]) == 3
    assert capsys.readouterr().err == (
        f"error: {tmp_path}: there is no checkout of modelyard here or above. "
        "Run it in a clone of the repository, or name one with --root.\n"
    )
