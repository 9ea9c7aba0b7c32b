"""The merge base is checked out beside the working tree, whole, and leaves nothing behind."""

import logging
from pathlib import Path

import pytest
from loans_project import git

from modelyard.ci.errors import MergeBaseUnusable
from modelyard.ci.running.merge_base import merge_base_project, train_merge_base
from modelyard.projects import open_project


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with a submodule, both with a commit since the first; and a file that archives leave out."""
    shared, folder = tmp_path / "shared", tmp_path / "repository"
    for place, files in (
        (shared, {"rates.py": "RATE = 1\n"}),
        (
            folder,
            {"modelyard.yaml": "name: loans\n", "loans.py": "x = 1\n", ".gitattributes": "loans.py export-ignore\n"},
        ),
    ):
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
        for name, text in files.items():
            (place / name).write_text(text)
        git(place, "add", ".")
        git(place, "commit", "-q", "-m", "first")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(shared), "common/shared")
    git(folder, "commit", "-q", "-m", "submodule")
    (folder / "common/shared/rates.py").write_text("RATE = 2\n")
    git(folder / "common/shared", "commit", "-q", "-a", "-m", "second")
    (folder / "loans.py").write_text("x = 2\n")
    git(folder, "commit", "-q", "-a", "-m", "second")
    return folder


def test_it_is_whole_and_leaves_nothing_behind(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD~1")
    hook = repository / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\ntouch pwned\n")
    hook.chmod(0o755)
    (repository / "loans.py").write_text("x = 3\n")

    with merge_base_project(open_project(repository), base) as earlier:
        tree = earlier.source
        assert (tree / "loans.py").read_text() == "x = 1\n"
        assert (tree / "common/shared/rates.py").read_text() == "RATE = 1\n"
        assert (earlier.stamp.commit, earlier.stamp.dirty, earlier.root) == (base, False, repository)
        assert not (tree / "pwned").exists()

    assert not tree.exists()
    for place in (repository, repository / "common/shared"):
        assert len(git(place, "worktree", "list").splitlines()) == 1
    assert (repository / "loans.py").read_text() == "x = 3\n"
    assert git(repository, "status", "--porcelain") == "M loans.py"


def test_what_failed_leaves_nothing_behind_either(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD~1")
    with pytest.raises(RuntimeError), merge_base_project(open_project(repository), base) as earlier:
        raise RuntimeError
    assert not earlier.source.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_file_that_fails_is_called_as_in_the_repository(repository: Path) -> None:
    (repository / "modelyard.yaml").write_text("name: loans\nworkflows: {main: flows:main}\n")
    (repository / "flows.py").write_text("raise RuntimeError('broken before')\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "broken")
    base = git(repository, "rev-parse", "HEAD")
    with pytest.raises(MergeBaseUnusable) as caught:
        train_merge_base(
            open_project(repository), base, "main", {}, environment="", log=logging.getLogger(), only=frozenset()
        )
    told = str(caught.value)
    assert "flows.py:1: importing flows raised RuntimeError: broken before" in told
    assert "/tree/" not in told


def test_a_commit_of_a_submodule_that_is_nowhere_is_named(repository: Path) -> None:
    git(repository, "update-index", "--cacheinfo", f"160000,{'a' * 40},common/shared")
    git(repository, "commit", "-q", "-m", "nowhere")
    with (
        pytest.raises(MergeBaseUnusable, match="cannot be trained: "),
        merge_base_project(open_project(repository), git(repository, "rev-parse", "HEAD")),
    ):
        pass
    for place in (repository, repository / "common/shared"):
        assert len(git(place, "worktree", "list").splitlines()) == 1
    git(repository, "submodule", "deinit", "-q", "--force", "common/shared")
    with merge_base_project(open_project(repository), git(repository, "rev-parse", "HEAD")) as earlier:
        assert not (earlier.source / "common/shared/rates.py").exists()  # as in the job's own clone
