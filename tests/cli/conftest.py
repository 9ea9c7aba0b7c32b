"""The command line with the probe operations installed, in this process and in others."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import Command, Ended

from modelyard.cli.main import run_command_line
from modelyard.operations.catalogue import load_catalogue

PROBES = Path(__file__).parents[1] / "probes"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the current folder."""
    folder = tmp_path / "flights"
    folder.mkdir()
    (folder / "modelyard.yaml").write_text("name: flights\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The probe operations, as another distribution's."""
    monkeypatch.syspath_prepend(PROBES / "distribution")
    load_catalogue.cache_clear()
    yield
    load_catalogue.cache_clear()


@pytest.fixture
def command(probes: None, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process."""

    def run(*words: str) -> Ended:
        capfd.readouterr()
        code = run_command_line(words)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def process_environment() -> dict[str, str]:
    """The environment of a process that knows the probe operations."""
    return {**os.environ, "PYTHONPATH": f"{PROBES}{os.pathsep}{PROBES / 'distribution'}"}


@pytest.fixture
def shell(process_environment: dict[str, str]) -> Command:
    """Runs a command line in a process of its own."""

    def run(*words: str, stdin: str = "", **variables: str) -> Ended:
        ended = subprocess.run(
            [sys.executable, "-m", "modelyard.cli", *words],
            env={**process_environment, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shop's project as the current folder."""
    folder = tmp_path / "shop"
    shutil.copytree(Path(__file__).with_name("shop"), folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(folder)
    return folder
