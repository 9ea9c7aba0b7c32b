"""What people install: the wheel, in an environment of its own, from an empty directory."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from source_tree import REPOSITORY, ROOTS, modules

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(_uv("build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY), check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(_uv("venv", "--quiet", "--python", sys.executable, folder / "venv"), check=True)
    constraints = ("--constraints", REPOSITORY / "constraints/main.txt")
    subprocess.run(
        _uv("pip", "install", "--quiet", "--python", folder / "venv/bin/python", *constraints, wheel), check=True
    )
    return folder / "venv/bin"


def _uv(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("uv")), *map(str, arguments)]


def _run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MODELYARD"))}
    return subprocess.run(
        [str(installed / arguments[0]), *arguments[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_every_module_of_the_three_roots_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    ours = {str(module.path.relative_to(root)) for root in ROOTS for module in modules() if root in module.path.parents}

    assert held == ours


def test_the_wheel_holds_the_files_that_modules_read(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("html", "css", "js", "svg", "j2", "json")
    read = {str(each.relative_to(root)) for root in ROOTS for kind in kinds for each in root.rglob(f"*.{kind}")}

    assert "modelyard/airflow/ui/files/console.js" in read
    assert read - held == set()


def test_the_light_core_works_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    helped = _run(installed, tmp_path, "modelyard", "--help")
    listed = _run(installed, tmp_path, "modelyard", "operations", "list", "--json")

    assert helped.returncode == 0, helped.stderr
    assert "train" in helped.stdout
    assert {"train", "evaluate", "register", "promote", "deploy", "undeploy", "predict", "call", "run"} <= {
        each["name"] for each in json.loads(listed.stdout)
    }


def test_a_missing_extra_is_named(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").write_text("name: tiny\n")
    result = _run(installed, tmp_path, "modelyard", "models", "list")

    assert result.returncode != 0
    assert "modelyard[ml]" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_light_package_imports_without_any_extra(installed: Path, tmp_path: Path) -> None:
    packages = ["errors", "operations", "projects", "graphs", "data", "tracking", "training", "batch", "serving"]
    packages += ["deploy", "workflows", "cli"]
    code = f"import importlib; [importlib.import_module(f'modelyard.{{each}}') for each in {packages!r}]; print('all')"
    result = _run(installed, tmp_path, "python", "-c", code)

    assert (result.stdout.strip(), result.returncode) == ("all", 0), result.stderr
