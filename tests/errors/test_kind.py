import re
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind, outcome_of

PAGE = Path(__file__).parents[2] / "docs/errors.md"


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    codes = [outcome_of(kind).exit_code for kind in ErrorKind]

    assert len(set(codes)) == len(ErrorKind)
    assert all(0 < code < 125 for code in codes)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_the_page_shows_the_table(kind: ErrorKind) -> None:
    http, grpc, exit_code, retry = outcome_of(kind)
    row = rf"\| `{kind}` \| {http} \| `{grpc}` \| {exit_code} \| {'yes' if retry else 'no'} \|"

    assert re.search(row, PAGE.read_text())
