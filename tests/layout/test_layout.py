"""The house rules on the shape of the tree."""

import ast
import importlib.util
from typing import TypeGuard

import pytest
from source_tree import REPOSITORY, ROOTS, Module, modules, modules_of, packages

MODULE_LINES, FUNCTION_LINES, PUBLIC_METHODS = 600, 60, 20
MODULE_AIM, OVER_AIM = 400, 0.05
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "core"}
HAND_WRITTEN = [module for module in modules() if not module.generated]


def hand_written(package: str) -> list[Module]:
    """Return the modules of a package that no machine wrote."""
    return [module for module in HAND_WRITTEN if module.package == package]


def test_modelyard_is_a_namespace_in_every_root() -> None:
    assert [root / "modelyard/__init__.py" for root in ROOTS if (root / "modelyard/__init__.py").exists()] == []
    spec = importlib.util.find_spec("modelyard")
    assert spec is not None
    assert spec.origin is None


def test_every_package_ships_its_types_and_says_what_it_offers() -> None:
    packages = {module.path.parent for module in modules()}
    assert [str(each) for each in packages if not (each / "__init__.py").exists()] == []
    assert [str(each) for each in packages if not (each / "py.typed").exists()] == []
    silent = [module.name for module in modules() if module.path.stem == "__init__" and "__all__" not in module.source]
    assert silent == []


@pytest.mark.parametrize("package", packages())
def test_sizes(package: str) -> None:
    for module in hand_written(package):
        assert module.source.count("\n") <= MODULE_LINES, module.name
        check_sizes(module)


def check_sizes(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
            documented = ast.get_docstring(node, clean=False)
            length -= (documented.count("\n") + 1) if documented else 0
            assert length <= FUNCTION_LINES, f"{module.name}.{node.name} has {length} lines"
        if isinstance(node, ast.ClassDef):
            public = [
                each.name
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_")
            ]
            assert len(public) <= PUBLIC_METHODS, f"{module.name}.{node.name} has {len(public)} public methods"


def test_few_modules_are_above_the_aim() -> None:
    above = [module.name for module in HAND_WRITTEN if module.source.count("\n") > MODULE_AIM]
    assert len(above) <= OVER_AIM * len(HAND_WRITTEN), above


@pytest.mark.parametrize("package", packages())
def test_everything_is_typed(package: str) -> None:
    for module, node in [(each, node) for each in modules_of(package) for node in ast.walk(each.tree)]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
            assert bare == [], f"{module.name}.{node.name}"
            assert node.returns is not None, f"{module.name}.{node.name} has no return type"


def test_files_are_named_by_the_noun_they_hold() -> None:
    assert [module.name for module in modules() if module.path.stem in VAGUE] == []
    tests = [path for path in (REPOSITORY / "tests").rglob("*.py") if path.stem.removeprefix("test_") in VAGUE]
    assert tests == []


@pytest.mark.parametrize("package", packages())
def test_what_is_public_is_documented(package: str) -> None:
    silent = []
    for module, node in [(each, node) for each in hand_written(package) for node in each.tree.body]:
        if _is_public(node) and not ast.get_docstring(node):
            silent.append(f"{module.name}.{node.name}")
        if isinstance(node, ast.ClassDef) and _is_public(node):
            methods = [each for each in node.body if _is_public(each)]
            silent += [f"{module.name}.{node.name}.{each.name}" for each in methods if not ast.get_docstring(each)]
    assert silent == []


def _is_public(node: ast.stmt) -> TypeGuard[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
        return False
    return not any("overload" in ast.unparse(mark) for mark in node.decorator_list)
