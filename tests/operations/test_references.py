from typing import get_args

from modelyard.operations import DatasetRef, ModelRef
from modelyard.operations.references import Reference
from modelyard.operations.types import type_of


def test_a_reference_is_text_that_says_what_it_leads_to() -> None:
    assert get_args(DatasetRef) == (str, Reference("dataset"))
    assert get_args(ModelRef) == (str, Reference("model"))
    assert [type_of(hint).kind for hint in (DatasetRef, ModelRef)] == ["dataset", "model"]
