"""Projects on disk and in git, in folders of each test's own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("surroundings")
    monkeypatch.setenv("MODELYARD_CACHE", str(folder / "cache"))
    monkeypatch.setenv("MODELYARD_HOME", str(folder / "home"))
    monkeypatch.delenv("MODELYARD_ENVIRONMENT", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.com")


@pytest.fixture(autouse=True)
def own_imports() -> Iterator[None]:
    paths, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", "") or ""
        if "/pytest-" in file:
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below a folder of the test's own: text by relative path."""

    def write(files: dict[str, str], folder: str = "project") -> Path:
        root = tmp_path / folder
        root.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return write


@pytest.fixture
def git() -> Callable[..., str]:
    """Run git in a folder as a person would."""

    def git(folder: Path, *arguments: str) -> str:
        ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    return git


@pytest.fixture
def commit(write: Write, git: Callable[..., str]) -> Callable[..., str]:
    """Write files into a repository, commit everything and return the commit."""

    def commit(files: dict[str, str], folder: str = "project") -> str:
        root = write(files, folder)
        if not (root / ".git").exists():
            git(root, "init", "--quiet", "--initial-branch=main")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "work")
        return git(root, "rev-parse", "HEAD")

    return commit
