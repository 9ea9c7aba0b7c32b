"""References to projects: paths, searched upwards as git does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import ProjectInvalid, ProjectNotFound, ProjectReferenceInvalid, open_project

Write = Callable[..., Path]


@pytest.mark.parametrize("below", ["", "modelyard.yaml", "a", "a/b", "a/b/file.txt"])
def test_a_project_is_found_from_anywhere_below(below: str, write: Write) -> None:
    root = write({"modelyard.yaml": "name: x", "a/b/file.txt": ""})
    project = open_project(root / below)

    assert (project.name, project.root, project.source) == ("x", root, root)
    assert project.reference == str(root)


def test_the_nearest_project_is_opened(write: Write) -> None:
    root = write({"modelyard.yaml": "name: outer", "in/modelyard.yaml": "name: inner"})

    assert open_project(root / "in").name == "inner"


def test_a_relative_path_starts_here(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"modelyard.yaml": "name: x", "a/x": ""})
    monkeypatch.chdir(root / "a")

    assert open_project().root == open_project("..").root == open_project("../a").root == root
    assert open_project(f"file://{root}").root == root


def test_no_project_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(ProjectNotFound) as caught:
        open_project(tmp_path / "a")

    folders = [tmp_path / "a", *(tmp_path / "a").parents]
    assert str(caught.value) == (
        f"{tmp_path}/a: there is no modelyard.yaml; looked in {', '.join(map(str, folders))}. "
        'Start one: echo "name: my-project" > modelyard.yaml (see docs/projects.md).'
    )
    assert caught.value.error_kind is ErrorKind.NOT_FOUND


def test_a_path_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound) as caught:
        open_project(tmp_path / "nowhere")

    assert str(caught.value) == (
        f"{tmp_path}/nowhere: there is no such file or folder. "
        "Give the folder that holds modelyard.yaml, or one below it."
    )


@pytest.mark.parametrize(
    ("reference", "mend"),
    [
        ("https://example.com/x.git", "Write git+https://example.com/x.git for a git repository."),
        ("s3://bucket/project", "Give a path, or git+URL@ref#subfolder."),
        ("", "Give a path, or git+URL@ref#subfolder."),
    ],
)
def test_another_reference_is_refused(reference: str, mend: str) -> None:
    with pytest.raises(ProjectReferenceInvalid) as caught:
        open_project(reference)

    shown = reference or "(empty)"
    assert str(caught.value) == f"project reference {shown}: is neither a path nor a git reference. {mend}"


def test_a_broken_file_is_not_passed_over_for_one_above(write: Write) -> None:
    root = write({"modelyard.yaml": "name: outer", "in/modelyard.yaml": ""})

    with pytest.raises(ProjectInvalid, match="the file is empty"):
        open_project(root / "in")


def test_paths_resolve_in_the_project_and_uris_stay(write: Write) -> None:
    project = open_project(write({"modelyard.yaml": "name: x"}))

    assert project.resolve_uri("data/july.parquet") == f"{project.root}/data/july.parquet"
    assert project.resolve_uri("../other/x.csv") == f"{project.root.parent}/other/x.csv"
    assert project.resolve_uri("/srv/x.csv") == "/srv/x.csv"
    for uri in ("s3://bucket/x", "file:///srv/x", "memory://x", "models:/delays@champion", "runs:/abc/model"):
        assert project.resolve_uri(uri) == uri
