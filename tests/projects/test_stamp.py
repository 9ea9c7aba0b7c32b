"""Stamps: what git and the files say of what runs."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.projects import ContentUnreadable, GitFailed, Stamp, open_project

Write = Callable[..., Path]
Commit = Callable[..., str]
Git = Callable[..., str]
FILES = {"modelyard.yaml": "name: x", "pkg/a.py": "A = 1\n", ".gitignore": "data/\n*.log\n"}


def _stamp(root: Path) -> Stamp:
    return open_project(root).stamp


def test_without_git_there_is_a_content_hash(write: Write) -> None:
    stamp = _stamp(write(FILES))

    assert (stamp.commit, stamp.dirty, stamp.origin) == ("", False, "")
    assert len(stamp.content) == 64


def test_the_same_files_give_the_same_hash_in_git_and_out_of_it(write: Write, commit: Commit) -> None:
    commit(FILES, "one")

    assert _stamp(write(FILES, "two")).content == open_project(write({}, "one")).stamp.content


def test_the_hash_is_the_documented_one(write: Write) -> None:
    import hashlib

    root = write({"modelyard.yaml": "name: x", "b.py": "2"})
    (root / "b.py").chmod(0o755)
    lines = "".join(
        f"{path}\0{mode}\0{hashlib.sha256(text.encode()).hexdigest()}\n"
        for path, mode, text in [("b.py", "executable", "2"), ("modelyard.yaml", "file", "name: x")]
    )

    assert _stamp(root).content == hashlib.sha256(lines.encode()).hexdigest()


def test_a_clean_tree_is_its_commit(write: Write, commit: Commit, git: Git) -> None:
    sha = commit(FILES)
    root = write({})
    git(root, "remote", "add", "origin", "https://me:secret@example.com/x.git")
    stamp = _stamp(root)

    assert (stamp.commit, stamp.dirty, stamp.origin) == (sha, False, "https://example.com/x.git")


@pytest.mark.parametrize("change", ["edit", "stage", "add", "delete", "executable"])
def test_any_change_makes_it_dirty_and_changes_the_hash(change: str, write: Write, commit: Commit, git: Git) -> None:
    sha = commit(FILES)
    root = write({})
    before = _stamp(root)
    if change == "delete":
        (root / "pkg/a.py").unlink()
    elif change == "executable":
        (root / "pkg/a.py").chmod(0o755)
    else:
        write({"new file ü.py" if change == "add" else "pkg/a.py": "A = 2\n"})
    if change == "stage":
        git(root, "add", "--all")
    stamp = _stamp(root)

    assert (stamp.commit, stamp.dirty) == (sha, True)
    assert stamp.content != before.content


@pytest.mark.parametrize(
    "path",
    [
        "data/big.csv",
        "x.log",
        ".modelyard/journal/x",
        "pkg/__pycache__/a.pyc",
        ".venv/bin/python",
        "x.egg-info/PKG-INFO",
    ],
)
def test_what_is_no_content_changes_nothing(path: str, write: Write, commit: Commit) -> None:
    commit(FILES)
    root = write({})
    before = _stamp(root)
    write({path: "noise"})

    assert _stamp(root) == before


@pytest.mark.parametrize("path", [".modelyard/x", "pkg/__pycache__/a.pyc", "env/bin/python", ".git/x"])
def test_without_git_caches_and_virtual_environments_are_no_content(path: str, write: Write) -> None:
    root = write(FILES)
    before = _stamp(root)
    write({path: "noise", "env/pyvenv.cfg": "home = /usr/bin"})

    assert _stamp(root) == before


def test_where_an_environment_writes_is_no_content(write: Write, commit: Commit) -> None:
    text = (
        "name: x\nenvironments:\n  dev: {state: work, tracking: 'sqlite:///db/mlflow.db', artifacts: out/files}\n"
        "  prod: {state: '${NOT_SET}', artifacts: 's3://bucket'}\n"
    )
    commit({"modelyard.yaml": text})
    root = write({})
    before = _stamp(root)
    write({"work/journal": "x", "db/mlflow.db": "x", "out/files/model": "x"})

    assert _stamp(root) == before
    write({"worker.py": "x"})
    assert _stamp(root) != before


def test_a_repository_without_a_commit_is_dirty(write: Write, git: Git) -> None:
    root = write(FILES)
    git(root, "init", "--quiet")
    stamp = _stamp(root)

    assert (stamp.commit, stamp.dirty) == ("", True)


def test_only_the_project_of_a_larger_repository_counts(write: Write, commit: Commit) -> None:
    sha = commit({f"sub/{path}": text for path, text in FILES.items()} | {"other.txt": "1"})
    root = write({})
    before = _stamp(root / "sub")
    write({"other.txt": "2"})

    assert _stamp(root / "sub") == before == Stamp(before.content, sha)
    write({"sub/pkg/a.py": "A = 2\n"})
    assert _stamp(root / "sub").dirty


def test_a_project_that_git_ignores_does_not_borrow_the_commit(write: Write, commit: Commit) -> None:
    commit({"x": "1", ".gitignore": "ignored/\n"})
    root = write({"ignored/modelyard.yaml": "name: x"})

    assert _stamp(root / "ignored").commit == ""


def test_a_git_hook_does_not_lead_astray(write: Write, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = commit(FILES)
    commit({"y": "2"}, "other")
    other = write({}, "other")
    for name, value in {"DIR": ".git", "WORK_TREE": ".", "INDEX_FILE": ".git/index"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(other / value))

    assert (_stamp(write({})).commit, _stamp(write({})).dirty) == (sha, False)


def test_a_worktree_has_a_commit_of_its_own(write: Write, commit: Commit, tmp_path: Path, git: Git) -> None:
    first = commit(FILES)
    second = commit({"pkg/a.py": "A = 2\n"})
    git(write({}), "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), first)

    assert (_stamp(tmp_path / "tree").commit, _stamp(write({})).commit) == (first, second)
    assert not _stamp(tmp_path / "tree").dirty


def test_a_submodule_is_content(write: Write, commit: Commit, git: Git) -> None:
    commit({"lib.py": "L = 1\n"}, "library")
    commit(FILES)
    root = write({})
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(write({}, "library")), "library")
    git(root, "commit", "--quiet", "--message", "library")
    before = _stamp(root)
    write({"library/lib.py": "L = 2\n"})

    assert not before.dirty
    assert _stamp(root).dirty
    assert _stamp(root).content != before.content


def test_links_count_by_their_target_or_by_what_lies_outside(write: Write) -> None:
    root = write(FILES)
    outside = write({"x.txt": "1"}, "outside")
    (root / "inside").symlink_to("pkg/a.py")
    (root / "outside").symlink_to(outside / "x.txt")
    (root / "folder").symlink_to(outside)
    (root / "gone").symlink_to("nowhere")
    before = _stamp(root)
    (outside / "x.txt").write_text("2")

    assert _stamp(root) != before


def test_the_index_is_not_written(write: Write, commit: Commit) -> None:
    commit(FILES)
    root = write({})
    index = root / ".git/index"
    os.utime(root / "pkg/a.py", (1, 1))  # git status would note the new time in the index
    before = index.read_bytes()

    assert not _stamp(root).dirty
    assert index.read_bytes() == before


def test_a_stamp_is_taken_once(write: Write) -> None:
    root = write(FILES)
    project = open_project(root)
    stamp = project.stamp
    write({"pkg/a.py": "A = 3\n"})

    assert project.stamp is stamp


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to another user")
def test_a_repository_of_another_owner_is_read(write: Write, commit: Commit) -> None:
    sha = commit(FILES)
    root = write({})
    subprocess.run(["chown", "-R", "12345:12345", str(root)], check=True)

    assert _stamp(root).commit == sha


def test_a_broken_repository_is_told(write: Write, commit: Commit) -> None:
    commit(FILES)
    root = write({})
    (root / ".git/index").write_bytes(b"nonsense that is long enough to be an index")

    with pytest.raises(GitFailed) as caught:
        _stamp(root)

    assert str(caught.value).startswith(f"{root}: git cannot read the repository: ")
    assert str(caught.value).endswith(". Look at what git status says there.")


def test_without_the_git_command_the_files_are_enough(
    write: Write, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit({**FILES, ".gitignore": ""})
    content = _stamp(write({})).content
    monkeypatch.setenv("PATH", "/nowhere")

    assert _stamp(write({})) == Stamp(content)


def test_an_unreadable_file_is_told_by_its_permissions(write: Write) -> None:
    root = write(FILES)
    (root / "pkg/a.py").chmod(0)
    if os.access(root / "pkg/a.py", os.R_OK):
        pytest.skip("this user reads everything")

    with pytest.raises(ContentUnreadable) as caught:
        _stamp(root)
    assert str(caught.value) == (
        f"{root}/pkg/a.py: the file cannot be read: Permission denied. Check its permissions, or ignore it in git."
    )
