"""Imports point one way, and nothing heavy is imported by accident."""

import subprocess
import sys

import pytest
from source_tree import imports, modules, modules_of, packages

ORDER = [
    *("errors", "operations", "data", "graphs", "projects", "tracking", "streams", "features", "monitoring"),
    *("training", "batch", "serving", "deploy", "airflow", "operators", "workflows", "ci", "cli"),
]

HEAVY = {
    "airflow": ("airflow", "operators", "workflows"),
    "duckdb": ("features",),
    "kfp": ("operators",),
    "kubernetes": ("deploy",),
    "matplotlib": ("training",),
    "mlflow": ("tracking",),
    "onnx": (),
    "onnxruntime": (),
    "pandas": (),
    "pyarrow": ("data", "batch"),
    "shap": (),
    "skl2onnx": (),
    "sklearn": (),
    "uvicorn": ("serving",),
}
"""Library → packages whose modules may import it at module level."""

LIGHT = ("modelyard.errors", "modelyard.operations", "modelyard.projects", "modelyard.workflows", "modelyard.cli.main")


@pytest.mark.parametrize("package", packages())
def test_a_package_imports_only_those_before_it(package: str) -> None:
    rank = ORDER.index(package)
    backwards = [
        f"{module.name}: {each.target} (line {each.line})"
        for module in modules_of(package)
        for each in imports(module)
        if each.target.startswith("modelyard.") and ORDER.index(each.target.split(".")[1]) > rank
    ]
    assert backwards == []


@pytest.mark.parametrize("package", packages())
def test_heavy_libraries_stay_with_their_owner(package: str) -> None:
    astray = [
        f"{module.name}: {each.target} (line {each.line})"
        for module in modules_of(package)
        for each in imports(module)
        if each.at_module_level and package not in HEAVY.get(each.target.split(".")[0], (package,))
    ]
    assert astray == []


def test_no_module_imports_itself_in_a_circle() -> None:
    names = {module.name for module in modules()}
    graph = {
        module.name: {_owner(each.target, names) for each in imports(module) if each.at_module_level}
        - {"", module.name}
        for module in modules()
    }
    done: set[str] = set()
    for start in sorted(graph):
        _walk(start, graph, [], done)


def _owner(target: str, names: set[str]) -> str:
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target


def _walk(name: str, graph: dict[str, set[str]], path: list[str], done: set[str]) -> None:
    assert name not in path, " → ".join([*path[path.index(name) :], name])
    if name in done:
        return
    for target in sorted(graph[name]):
        # A package's __init__ gathers what its own modules offer: only a circle between modules is one.
        if not name.startswith(f"{target}.") and not target.startswith(f"{name}."):
            _walk(target, graph, [*path, name], done)
    done.add(name)


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_packages_import_nothing_heavy(module: str) -> None:
    heavy = (*HEAVY, "numpy", "scipy", "skops", "httptools", "datasketches", "jinja2")
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("", 0), result.stderr
