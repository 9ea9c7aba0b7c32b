from pathlib import Path

import pytest

from modelyard.ci.errors import FolderUnwritable
from modelyard.ci.hosts import CiContext, CiFiles
from modelyard.ci.outputs import write_outputs


def test_on_github_a_value_cannot_end_itself(tmp_path: Path) -> None:
    file = tmp_path / "output"
    write_outputs(
        CiContext(host="github", files=CiFiles(outputs=str(file))), {"model-uri": "a\nmodelyard-0\nb=c", "x": ""}
    )
    lines = file.read_text().splitlines()
    name, mark, end = lines[0].partition("<<")
    assert (name, mark, len(end)) == ("model-uri", "<<", len("modelyard-") + 32)
    assert lines[1:5] == ["a", "modelyard-0", "b=c", end]
    assert lines[5].startswith("x<<modelyard-")


def test_elsewhere_it_is_a_variable_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "deep/outputs.env"
    context = CiContext(host="gitlab", files=CiFiles(outputs=str(file)))
    write_outputs(context, {"model-uri": "models:/a/1\nEVIL=1"})
    write_outputs(context, {"gate": "pass", "results": "x" * 1_001})
    assert file.read_text() == "MODEL_URI=models:/a/1 EVIL=1\nGATE=pass\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    context = CiContext(host="gitlab", files=CiFiles(outputs=str(tmp_path / "file/outputs.env")))
    with pytest.raises(FolderUnwritable) as caught:
        write_outputs(context, {"gate": "pass"})
    assert str(caught.value).endswith("/outputs.env: cannot be written: File exists. MODELYARD_OUTPUTS names it.")


def test_without_a_file_nothing_is_written() -> None:
    write_outputs(CiContext(), {"gate": "pass"})
