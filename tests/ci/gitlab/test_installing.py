"""What a job installs: by the script alone, and with pip and an index of one's own."""

import os
import subprocess
import sys
import venv
import zipfile
from ensurepip import __file__ as bundled
from pathlib import Path

import pytest
from gitlab_runner import GitLabRunner, missing_part
from served_folder import served_folder

from modelyard.operations.generation.template_scripts import IDENTITY, SETUP

PIP = next(Path(bundled).parent.glob("_bundled/pip-*.whl"))
TOLD = """#!/bin/sh
printf '%s\\n' "$PIP_INDEX_URL" "$MLFLOW_TRACKING_URI" "$@"
"""


def installed(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a Python that tells what it gets."""
    project, program = folder / "project", folder / "programs" / "python3"
    project.mkdir()
    program.parent.mkdir()
    program.write_text(TOLD)
    program.chmod(0o755)
    names = ("VERSION", "EXTRAS", "REQUIREMENTS", "INDEX_URL", "TRACKING_URI")
    variables = {f"SETUP_{name}": given.get(name.lower(), "") for name in names}
    path = f"{program.parent}:{os.environ['PATH']}"
    variables |= {"PROJECT_PATH": "project", "PATH": path}
    command = ["sh", "-e", "-c", SETUP]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "modelyard"),
        ({"extras": "ci,ml"}, "modelyard[ci,ml]"),
        ({"version": "0.3.1", "extras": "ci"}, "modelyard[ci]==0.3.1"),
        (
            {"version": "../dist/modelyard-0.3.1-py3-none-any.whl"},
            "modelyard @ file://{}/dist/modelyard-0.3.1-py3-none-any.whl",
        ),
        ({"version": "0.3.1 $(touch evil)"}, "modelyard==0.3.1 $(touch evil)"),
    ],
)
def test_what_is_asked_of_pip(tmp_path: Path, given: dict[str, str], wanted: str) -> None:
    (tmp_path / "dist").mkdir()
    ended = installed(tmp_path, **given)
    expected = ["", "", "-m", "pip", "install", "--quiet", wanted.format(tmp_path)]
    assert (ended.returncode, ended.stdout.splitlines()) == (0, expected), ended.stderr
    assert not list(tmp_path.rglob("evil"))


def test_requirements_an_index_and_a_tracking_server(tmp_path: Path) -> None:
    given = {
        "requirements": "my needs.txt",
        "index_url": "https://example.com/simple",
        "tracking_uri": "https://mlflow",
    }
    ended = installed(tmp_path, **given)
    assert ended.stdout.splitlines() == [
        "https://example.com/simple",
        "https://mlflow",
        *("-m", "pip", "install", "--quiet", "modelyard", "--requirement", "my needs.txt"),
    ]


def test_no_version_is_refused(tmp_path: Path) -> None:
    ended = installed(tmp_path, version="; touch evil")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "version is a number such as 0.3.1, or the path of a wheel\n"
    assert not list(tmp_path.rglob("evil"))


def test_a_role_is_taken_by_a_proof_in_a_file_of_ones_own() -> None:
    tells = '[ -z "${AWS_ROLE_ARN:-}" ] || stat -c %a "$AWS_WEB_IDENTITY_TOKEN_FILE"; env | grep ^AWS_ROLE || true\n'
    shows = '[ -z "${AWS_ROLE_ARN:-}" ] || { cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; rm "$AWS_WEB_IDENTITY_TOKEN_FILE"; }'
    command = ["sh", "-e", "-c", IDENTITY + tells + shows]

    def told(role: str) -> str:
        given = {"PATH": os.environ["PATH"], "IDENTITY_ROLE": role, "IDENTITY_TOKEN": "head.$(body).end"}
        return subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout

    assert told("arn:aws:iam::1:role/ci") == "600\nAWS_ROLE_ARN=arn:aws:iam::1:role/ci\nhead.$(body).end"
    assert told("") == ""


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_part()), reason=missing_part())
def test_pip_installs_from_an_index(runner: GitLabRunner, tmp_path: Path) -> None:
    place = tmp_path / "index" / "loans-words"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "loans_words-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("loans_words.py", "LATE = 'late'\n")
        wheel.writestr("loans_words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: loans-words\nVersion: 1.0\n")
        wheel.writestr(
            "loans_words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("loans_words-1.0.dist-info/RECORD", "")
    site = own_python(runner, tmp_path / "environment")
    (runner.project / "requirements.txt").write_text("loans-words>=1\n")
    with served_folder(tmp_path / "index") as index:
        inputs = f"{{requirements: requirements.txt, index-url: '{index}', preview: false}}"
        runner.call("newcomer.yml", f"    inputs: {inputs}\n")
        runner.change("README.md", "Loans.", "Loans, explained.")
        ended = runner.request()
    assert ended.code == 0, ended.said
    assert (site / "loans_words.py").read_text() == "LATE = 'late'\n"
    assert (site / "loans_words-1.0.dist-info").is_dir()


def own_python(runner: GitLabRunner, folder: Path) -> Path:
    """Give jobs an environment that has what this one has, and takes more; returns where that comes to lie."""
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    there = Path(sys.prefix) / "lib" / version / "site-packages"
    (site / "there.pth").write_text(f"{there}\n")
    program = runner.scratch / "programs" / "python3"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={PIP} exec {folder}/bin/python "$@"\n')
    return site
