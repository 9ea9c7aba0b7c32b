"""Projects of git references, fetched from real repositories on this disk and from a real server."""

import http.server
import multiprocessing
import os
import shutil
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import (
    GitMissing,
    ProjectInvalid,
    RefNotFound,
    RepositoryUnreachable,
    open_project,
)
from modelyard.projects.folders import cache_folder, home_folder

Write = Callable[..., Path]
Commit = Callable[..., str]
Git = Callable[..., str]
FILES = {
    "modelyard.yaml": "name: x",
    "pkg/a.py": "def f(): return 1\n",
    "data/rows.csv": "a\n1\n",
    "run.sh": "#!/bin/sh\n",
}


def test_a_branch_is_what_it_points_to_now(write: Write, commit: Commit) -> None:
    first = commit(FILES)
    url = f"git+file://{write({})}"
    before = open_project(f"{url}@main")
    second = commit({"pkg/a.py": "def f(): return 2\n"})
    after = open_project(f"{url}@main")

    assert (before.stamp.commit, after.stamp.commit) == (first, second)
    assert (before.load_function("pkg.a:f")(), after.load_function("pkg.a:f")()) == (1, 2)
    assert before.source != after.source
    assert before.root == after.root
    assert after.source.is_relative_to(cache_folder())
    assert not (after.source / ".git").exists()


def test_the_stamp_is_that_of_a_clean_clone(write: Write, commit: Commit, git: Git) -> None:
    root = write(FILES)
    (root / "run.sh").chmod(0o755)
    sha = commit({})
    opened = open_project(f"git+file://{root}")

    assert (opened.stamp.commit, opened.stamp.dirty) == (sha, False)
    assert opened.stamp.origin == f"file://{root}"
    assert opened.stamp.content == open_project(root).stamp.content
    assert os.access(opened.source / "run.sh", os.X_OK)


def test_tags_commits_short_commits_and_other_refs(write: Write, commit: Commit, git: Git) -> None:
    first = commit(FILES)
    root = write({})
    git(root, "tag", "--annotate", "--message", "v1", "v1")
    git(root, "update-ref", "refs/pull/7/head", first)
    second = commit({"pkg/a.py": "def f(): return 2\n"})
    url = f"git+file://{root}"

    for ref, sha in [("v1", first), (first, first), (first[:10], first), ("refs/pull/7/head", first), ("main", second)]:
        assert open_project(f"{url}@{ref}").stamp.commit == sha
    assert open_project(url).stamp.commit == second


def test_an_exact_commit_needs_no_fetch_once_it_is_there(write: Write, commit: Commit) -> None:
    sha = commit(FILES)
    url = f"git+file://{write({})}@{sha}"
    source = open_project(url).source
    shutil.rmtree(write({}))

    assert open_project(url).source == source
    assert open_project(str(source)).stamp.commit == sha


def test_a_subfolder_has_a_root_of_its_own(write: Write, commit: Commit) -> None:
    commit({f"{sub}/{path}": text for path, text in FILES.items() for sub in ("a/one", "two")})
    url = f"git+file://{write({})}"
    one, two = open_project(f"{url}@main#a/one"), open_project(f"{url}#two")

    assert (one.name, one.source.name, two.source.name) == ("x", "one", "two")
    assert one.root != two.root
    assert one.stamp.content == two.stamp.content


def test_state_outlives_commits_and_committed_data_is_read(write: Write, commit: Commit) -> None:
    commit(FILES)
    project = open_project(f"git+file://{write({})}")

    assert project.root.is_relative_to(home_folder())
    assert project.environment().state == project.root / ".modelyard"
    assert project.resolve_uri("data/rows.csv") == str(project.source / "data/rows.csv")
    assert project.resolve_uri("out/predictions") == str(project.root / "out/predictions")
    (project.root / "out/predictions").mkdir(parents=True)
    again = open_project(project.snapshot(project.root / "snapshot"))
    assert again.resolve_uri("out/predictions") == str(project.root / "out/predictions")
    assert again.resolve_uri("data/rows.csv") == str(again.source / "data/rows.csv")
    assert again.stamp == project.stamp


def test_an_unknown_ref_is_told_with_the_near_one(write: Write, commit: Commit, git: Git) -> None:
    commit(FILES)
    root = write({})
    git(root, "branch", "release")
    expected = {
        "relase": "there is no branch, tag or commit 'relase'. Did you mean release?",
        "0" * 40: f"there is no branch, tag or commit '{'0' * 40}'. Known: main, release.",
        "refs/pull/1/head": "there is no branch, tag or commit 'refs/pull/1/head'. Known: main, release.",
    }

    for ref, message in expected.items():
        with pytest.raises(RefNotFound) as caught:
            open_project(f"git+file://{root}@{ref}")
        assert str(caught.value) == f"file://{root}: {message}"
        assert caught.value.error_kind is ErrorKind.NOT_FOUND


def test_an_empty_repository_is_told(write: Write, git: Git) -> None:
    root = write({})
    git(root, "init", "--quiet")

    with pytest.raises(RefNotFound) as caught:
        open_project(f"git+file://{root}")
    assert str(caught.value) == f"file://{root}: there is no branch, tag or commit 'HEAD'. None is defined."


def test_no_project_in_the_folder_is_told_with_those_that_are(write: Write, commit: Commit) -> None:
    sha = commit({"models/flights/modelyard.yaml": "name: x"})
    url = f"file://{write({})}"

    with pytest.raises(RefNotFound) as caught:
        open_project(f"git+{url}#model/flights")
    assert str(caught.value) == (
        f"{url}: there is no modelyard.yaml at {sha[:12]} in the folder 'model/flights'. Did you mean models/flights?"
    )
    with pytest.raises(RefNotFound) as caught:
        open_project(f"git+{url}")
    assert str(caught.value) == (
        f"{url}: there is no modelyard.yaml at {sha[:12]} in the folder '.'. Known: models/flights."
    )


def test_a_broken_file_in_a_commit_is_told(write: Write, commit: Commit) -> None:
    commit({"modelyard.yaml": "name: X"})

    with pytest.raises(ProjectInvalid, match=r"modelyard\.yaml:1: name: must be"):
        open_project(f"git+file://{write({})}")


def test_an_unreachable_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnreachable) as caught:
        open_project(f"git+file://{tmp_path}/nowhere")

    assert str(caught.value) == (
        f"file://{tmp_path}/nowhere: git cannot fetch it: '{tmp_path}/nowhere' does not appear to be a git repository. "
        "Check the address, the network and the credentials."
    )
    assert caught.value.error_kind is ErrorKind.UNAVAILABLE


def test_without_git_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(GitMissing) as caught:
        open_project("git+https://me:pw@example.com/x")
    assert str(caught.value) == (
        "https://example.com/x: the git command is not installed. Install git, or give a path instead."
    )


def test_what_a_killed_git_left_is_thrown_away(write: Write, commit: Commit) -> None:
    commit(FILES)
    url = f"git+file://{write({})}"
    clone = open_project(url).source.parents[1] / "repository.git"
    sha = commit({"pkg/a.py": "def f(): return 2\n"})
    (clone / "refs/heads/main.lock").write_text("")

    assert open_project(url).stamp.commit == sha
    assert not (clone / "refs/heads/main.lock").exists()


def _opened(url: str) -> tuple[str, str]:
    project = open_project(url)
    return str(project.source), project.stamp.commit


def test_processes_at_once_share_one_checkout(write: Write, commit: Commit) -> None:
    sha = commit(FILES)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        opened = pool.map(_opened, [f"git+file://{write({})}"] * 8)

    assert {each[1] for each in opened} == {sha}
    assert len({each[0] for each in opened}) == 1
    assert [path.name for path in Path(opened[0][0]).parent.iterdir()] == [sha]


class _Guarded(http.server.SimpleHTTPRequestHandler):
    """Serves a repository's files to whoever knows the password."""

    def do_GET(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic" and b64decode(given) == b"me:s3cret":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    def handler(*given: object) -> _Guarded:
        return _Guarded(*given, directory=str(tmp_path))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_credentials_open_the_door_and_stay_out_of_sight(
    address: str, write: Write, commit: Commit, git: Git, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sha = commit(FILES)
    git(tmp_path, "clone", "--quiet", "--bare", "project", "x.git")
    git(tmp_path / "x.git", "update-server-info")
    caplog.set_level(0)
    project = open_project(f"git+http://me:s3cret@{address}/x.git@main")

    assert (project.stamp.commit, project.stamp.origin) == (sha, f"http://{address}/x.git")
    assert "s3cret" not in caplog.text
    for path in cache_folder().rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()

    for wrong in (f"http://me:wr0ng@{address}/x.git", f"http://{address}/y.git"):
        with pytest.raises(RepositoryUnreachable) as caught:
            open_project(f"git+{wrong}")
        assert "wr0ng" not in str(caught.value)
        assert str(caught.value).startswith(f"http://{address}/")
    assert "wr0ng" not in caplog.text
