import pytest

from modelyard.operations.libraries import extra_with


@pytest.mark.parametrize(
    ("library", "extra"),
    [
        ("sklearn", "ml"),
        ("mlflow", "ml"),
        ("uvicorn", "serving"),
        ("airflow", "airflow"),
        ("click", ""),
        ("xgboost", ""),
    ],
)
def test_a_library_is_brought_by_an_extra(library: str, extra: str) -> None:
    assert extra_with(library) == extra
