"""Files are written whole, compared honestly, and cleared away when nothing gives rise to them."""

from pathlib import Path, PurePosixPath

from modelyard.operations import OperationSpec
from modelyard.operations.generation import differences, generated_files, write_files
from modelyard.operations.generation.source import MARK

AIRFLOW = PurePosixPath("operators/modelyard/operators/airflow")


def test_everything_is_missing_then_written_then_the_same(specs: list[OperationSpec], tmp_path: Path) -> None:
    files = generated_files(specs)

    assert [matter for _, matter in write_files(tmp_path, files)] == ["missing"] * len(files)
    assert differences(tmp_path, files) == []
    assert sorted(each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()) == [
        "docs/kfp/reference.md",
        "docs/reference/cli.md",
        "docs/reference/operations.md",
        "operators/modelyard/operators/airflow/__init__.py",
        "operators/modelyard/operators/airflow/bare.py",
        "operators/modelyard/operators/airflow/wide_probe.py",
        "operators/modelyard/operators/kfp/__init__.py",
        "operators/modelyard/operators/kfp/bare.py",
        "operators/modelyard/operators/kfp/components.py",
        "operators/modelyard/operators/kfp/wide_probe.py",
        "provider/modelyard/airflow/operator_modules.py",
    ]


def test_what_was_changed_by_hand_is_found_and_mended(specs: list[OperationSpec], tmp_path: Path) -> None:
    files = generated_files(specs)
    write_files(tmp_path, files)
    operator = tmp_path / AIRFLOW / "bare.py"
    operator.write_text(operator.read_text() + "# by hand\n")

    assert differences(tmp_path, files) == [(AIRFLOW / "bare.py", "changed")]
    assert write_files(tmp_path, files) == [(AIRFLOW / "bare.py", "changed")]
    assert "# by hand" not in operator.read_text()


def test_the_operator_of_a_vanished_operation_goes_and_what_people_wrote_stays(
    specs: list[OperationSpec], tmp_path: Path
) -> None:
    write_files(tmp_path, generated_files(specs))
    (tmp_path / AIRFLOW / "operation.py").write_text('"""Hand-written."""\n')
    (tmp_path / "docs/reference/notes.md").write_text("Hand-written.\n")

    write_files(tmp_path, generated_files(specs[:1]))

    assert sorted(each.name for each in (tmp_path / AIRFLOW).iterdir()) == [
        "__init__.py",
        "operation.py",
        "wide_probe.py",
    ]
    assert (tmp_path / "docs/reference/notes.md").exists()


def test_the_order_of_the_operations_changes_nothing(specs: list[OperationSpec]) -> None:
    assert generated_files(specs) == generated_files(specs[::-1])


def test_every_file_says_that_it_is_generated(specs: list[OperationSpec]) -> None:
    assert [path for path, text in generated_files(specs).items() if MARK not in text[:400]] == []
