"""Operations that exist to be generated from: every type, and prose that is hard to carry."""

from typing import Any, Literal

import msgspec
import pytest

from modelyard.operations import DatasetRef, ModelRef, OperationContext, OperationSpec, operation


class WideResult(msgspec.Struct, frozen=True):
    """What came out.

    Attributes
    ----------
    model
        The model, with a description that goes on and on, across the end of a line, until the generator has to wrap it.
    note
        A note with a | and `code`.
    """

    model: ModelRef
    note: str | None


@operation(kind="wide-probe", side_effects="none")
def wide(
    context: OperationContext,
    *,
    text: str,
    dataset: DatasetRef,
    count: int | None = None,
    big: int = 10**20,
    ratio: float = 0.5,
    flag: bool = True,
    choice: Literal["a", "b|c"] = "b|c",
    phrase: str = 'say "hi", it\'s\n',
    names: list[str] = [],  # noqa: B006
    sizes: list[list[int]] = [[1, 2], [3]],  # noqa: B006
    settings: dict[str, Any] = {},  # noqa: B006
    limits: dict[str, float] | None = None,
    models: dict[str, ModelRef] = {"a": "models:/a@champion"},  # noqa: B006
    anything: Any = None,
) -> WideResult:
    r"""Take "everything", with \d and a summary which is long, but short enough to stand on the first line of a text.

    A second paragraph that is longer than a line of source, so that it has to be filled, and has a \backslash
    and \"\"\" in it.

    - a list
    - stays a list

    Parameters
    ----------
    text, dataset, count, big, ratio, flag, choice, phrase, names, sizes, settings, limits, models, anything
        What it is; `code` and ``literals`` stay, and a | too.

    Examples
    --------
    $ modelyard wide-probe --text "a b" \
        --dataset in.csv
    """
    raise NotImplementedError


@operation(kind="bare", side_effects="storage")
def bare(context: OperationContext) -> WideResult:
    """Take nothing, and say it in a summary that is so long that it cannot stand on the first line of a docstring."""
    raise NotImplementedError


@pytest.fixture(scope="session")
def wide_spec() -> OperationSpec:
    return wide.spec


@pytest.fixture(scope="session")
def bare_spec() -> OperationSpec:
    return bare.spec


@pytest.fixture(scope="session")
def specs(wide_spec: OperationSpec, bare_spec: OperationSpec) -> list[OperationSpec]:
    return [wide_spec, bare_spec]
