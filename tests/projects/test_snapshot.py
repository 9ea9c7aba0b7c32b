"""Snapshots: complete or not there, and nothing changes under what runs."""

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import SnapshotConflict, SnapshotDiskFull, SnapshotFailed, open_project, snapshot, tree

Write = Callable[..., Path]
Commit = Callable[..., str]
FILES = {
    "modelyard.yaml": "name: x\nfunctions: {fit: {handler: 'pkg.a:fit'}}",
    "pkg/a.py": "def fit(): return 1\n",
    "run.sh": "#!/bin/sh\n",
    ".gitignore": "data/\n",
}


def _listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_snapshot_is_the_project_with_its_root_and_stamp(write: Write, commit: Commit, tmp_path: Path) -> None:
    sha = commit(FILES)
    root = write({"data/big.csv": "1", "new.py": "N = 1\n", "pkg/__pycache__/a.pyc": "x"})
    (root / "run.sh").chmod(0o755)
    project = open_project(root)
    folder = project.snapshot(tmp_path / "job/project")
    frozen = open_project(folder)

    assert folder == tmp_path / "job/project"
    assert _listed(folder) == [
        ".gitignore",
        ".modelyard-snapshot.json",
        "modelyard.yaml",
        "new.py",
        "pkg/a.py",
        "run.sh",
    ]
    assert os.access(folder / "run.sh", os.X_OK)
    assert (frozen.root, frozen.source, frozen.name) == (root, folder, "x")
    assert frozen.stamp == project.stamp
    assert (frozen.stamp.commit, frozen.stamp.dirty) == (sha, True)
    assert frozen.environment().state == root / ".modelyard"
    assert frozen.resolve_uri("data/big.csv") == f"{root}/data/big.csv"
    assert list((tmp_path / "job").iterdir()) == [folder]


def test_what_runs_cannot_change_under_it(write: Write, tmp_path: Path) -> None:
    root = write(FILES)
    frozen = open_project(open_project(root).snapshot(tmp_path / "frozen"))
    write({"pkg/a.py": "def fit(): return 2\n"})

    assert frozen.load_function("fit")() == 1
    assert open_project(root).load_function("fit")() == 2
    assert frozen.load_function("fit")() == 1


def test_a_snapshot_that_is_there_is_kept(write: Write, tmp_path: Path) -> None:
    root = write(FILES)
    folder = open_project(root).snapshot(tmp_path / "frozen")
    stamp = open_project(folder).stamp
    write({"pkg/a.py": "def fit(): return 2\n"})

    assert open_project(root).snapshot(folder) == folder
    assert open_project(folder).stamp == stamp


def test_a_snapshot_of_a_snapshot_leads_to_the_same_root(write: Write, tmp_path: Path) -> None:
    root = write(FILES)
    first = open_project(open_project(root).snapshot(tmp_path / "one"))
    second = open_project(first.snapshot(tmp_path / "two"))

    assert (second.root, second.stamp) == (root, first.stamp)
    assert _listed(second.source) == _listed(first.source)


def test_the_state_folder_of_the_project_itself_may_hold_it(write: Write, commit: Commit) -> None:
    commit(FILES)
    project = open_project(write({}))
    folder = project.snapshot(project.environment().open_state() / "jobs/1/project")

    assert _listed(folder) == [".gitignore", ".modelyard-snapshot.json", "modelyard.yaml", "pkg/a.py", "run.sh"]
    assert not open_project(folder).stamp.dirty
    assert open_project(project.root).stamp == project.stamp


def test_a_place_inside_the_project_is_no_circle(write: Write, commit: Commit) -> None:
    for name in ("plain", "versioned"):
        if name == "versioned":
            commit(FILES, name)
        project = open_project(write(FILES, name))
        folder = project.snapshot(project.root / "out")

        assert _listed(folder) == [".gitignore", ".modelyard-snapshot.json", "modelyard.yaml", "pkg/a.py", "run.sh"]
        assert open_project(folder).stamp == project.stamp


@pytest.mark.parametrize("found", ["file", "empty folder", "other folder", "other project"])
def test_something_else_in_its_place_is_refused(found: str, write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "frozen"
    holds = "something else than a snapshot"
    if found == "file":
        folder.write_text("")
    elif found == "other project":
        holds = f"a snapshot of {open_project(open_project(write(FILES, 'other')).snapshot(folder)).root}"
    else:
        folder.mkdir()
        if found == "other folder":
            (folder / "x").write_text("")

    with pytest.raises(SnapshotConflict) as caught:
        open_project(write(FILES)).snapshot(folder)

    assert str(caught.value) == (
        f"{folder}: the snapshot cannot be put here, because the folder holds {holds}. "
        "Choose a folder that does not exist."
    )


def test_many_at_once_give_one(write: Write, tmp_path: Path) -> None:
    root = write(FILES)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: open_project(root).snapshot(tmp_path / "job/frozen"), range(8)))

    assert set(folders) == {tmp_path / "job/frozen"}
    assert list((tmp_path / "job").iterdir()) == folders[:1]
    assert open_project(folders[0]).stamp == open_project(root).stamp


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (
            errno.ENOSPC,
            SnapshotDiskFull,
            "the snapshot failed: no space left on the disk. Free some space, or let .gitignore name large files.",
        ),
        (errno.EIO, SnapshotFailed, "the snapshot failed: Input/output error. Check the disk and the permissions."),
    ],
)
def test_a_failing_disk_leaves_nothing(
    number: int,
    error: type[SnapshotFailed],
    message: str,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    # A disk cannot be filled here: the copy of the second file fails as on a full one.
    copied = tree._file
    monkeypatch.setattr(tree, "_file", lambda *given: fail() if given[1] == "pkg/a.py" else copied(*given))

    with pytest.raises(SnapshotFailed) as caught:
        open_project(write(FILES)).snapshot(tmp_path / "job/frozen")

    assert type(caught.value) is error
    assert str(caught.value) == f"{tmp_path}/job/frozen: {message}"
    assert list((tmp_path / "job").iterdir()) == []


def test_a_full_disk_may_be_tried_again() -> None:
    assert SnapshotDiskFull(Path("x")).error_kind is ErrorKind.EXHAUSTED
    assert SnapshotDiskFull(Path("x")).outcome.retry


def test_links_stay_inside_and_outside_is_copied_or_named(write: Write, commit: Commit, tmp_path: Path) -> None:
    outside = write({"x.txt": "1"}, "outside")
    commit(FILES)
    root = write({"data/big.csv": "7"})
    (root / "inside").symlink_to("pkg/a.py")
    (root / "file").symlink_to(outside / "x.txt")
    (root / "folder").symlink_to("../outside")
    (root / "ignored").symlink_to("data/big.csv")
    (root / "gone").symlink_to("nowhere")
    folder = open_project(root).snapshot(tmp_path / "frozen")

    assert (folder / "inside").readlink() == Path("pkg/a.py")
    assert not (folder / "file").is_symlink()
    assert (folder / "file").read_text() == "1"
    assert (folder / "folder").readlink() == outside
    assert (folder / "ignored").read_text() == "7"
    assert (folder / "gone").readlink() == Path("nowhere")


def test_a_large_one_is_warned_of(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(snapshot, "_LARGE", 50)
    root = write(FILES)
    open_project(root).snapshot(tmp_path / "one")

    assert caplog.messages == [
        f"the snapshot of {root} copies 0.0 GB; name large data in .gitignore, or keep it elsewhere"
    ]


def test_a_broken_marker_is_told(write: Write, tmp_path: Path) -> None:
    folder = open_project(write(FILES)).snapshot(tmp_path / "frozen")
    (folder / ".modelyard-snapshot.json").write_text("{")

    with pytest.raises(SnapshotFailed) as caught:
        open_project(folder)

    assert str(caught.value) == (
        f"{folder}: the snapshot failed: .modelyard-snapshot.json cannot be read: Input data was truncated. "
        "Take the snapshot again."
    )


def test_the_marker_says_what_it_is_a_snapshot_of(write: Write, tmp_path: Path) -> None:
    project = open_project(write(FILES))
    folder = project.snapshot(tmp_path / "frozen")

    assert json.loads((folder / ".modelyard-snapshot.json").read_text()) == {
        "root": str(project.root),
        "stamp": {"content": project.stamp.content},
    }
