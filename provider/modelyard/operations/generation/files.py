"""Which files are generated, and how they are written, compared and cleared away."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from modelyard.operations.declaration import OperationSpec
from modelyard.operations.generation.actions import ACTIONS, action_page, action_source
from modelyard.operations.generation.components import component_modules, component_package, components_class
from modelyard.operations.generation.operators import operator_modules, operator_package
from modelyard.operations.generation.reference import cli_reference, components_reference, operations_reference
from modelyard.operations.generation.source import MARK, module_name
from modelyard.operations.generation.templates import template_sources

__all__ = ["Difference", "differences", "distribution_files", "generated_files", "write_files"]

CATALOGUE = PurePosixPath("provider/modelyard/operations/catalogue.json")
AIRFLOW = PurePosixPath("operators/modelyard/operators/airflow")
KFP = PurePosixPath("operators/modelyard/operators/kfp")
REFERENCE = PurePosixPath("docs/reference")
GITHUB_ACTIONS = PurePosixPath("github-actions")
GITLAB_TEMPLATES = (PurePosixPath("gitlab-ci"), PurePosixPath("templates"))
"""Where GitLab includes files from, and where its catalogue looks for components."""
_WRITTEN = (".py", ".md", ".yml")
Difference = tuple[PurePosixPath, str]
"""A path below the root, and what is the matter with it: ``missing``, ``changed`` or ``stale``."""


def generated_files(specs: Iterable[OperationSpec]) -> dict[PurePosixPath, str]:
    """Return all that is generated from operations: path below the repository's root → text."""
    ordered = sorted(specs, key=lambda spec: spec.name)
    package = ".".join(AIRFLOW.parts[1:])
    files = {AIRFLOW / name: source for name, source in operator_modules(ordered).items()}
    files[AIRFLOW / "__init__.py"] = operator_package(ordered, package)
    files |= {KFP / name: source for name, source in component_modules(ordered).items()}
    files[KFP / "__init__.py"] = component_package()
    files[KFP / "components.py"] = components_class(ordered)
    modules = [f"{package}.{module_name(spec.name)}" for spec in ordered]
    files[PurePosixPath("provider/modelyard/airflow/operator_modules.py")] = _module_list(modules)
    files[REFERENCE / "operations.md"] = operations_reference(ordered)
    files[PurePosixPath("docs/kfp/reference.md")] = components_reference(ordered)
    files[REFERENCE / "cli.md"] = cli_reference(ordered)
    for spec in ordered:
        if spec.name in ACTIONS:
            files[GITHUB_ACTIONS / spec.name / "action.yml"] = action_source(spec)
            files[GITHUB_ACTIONS / spec.name / "README.md"] = action_page(spec)
    for name, text in template_sources(ordered).items():
        files |= {folder / name: text for folder in GITLAB_TEMPLATES}
    return files


def distribution_files(specs: Iterable[OperationSpec], package: str) -> dict[PurePosixPath, str]:
    """Return what is generated for the operations of another distribution: path below the root of its source → text.

    Parameters
    ----------
    specs
        Its operations.
    package
        The dotted path of the package that takes them: operators go to its ``airflow``, components to its ``kfp``.
    """
    ordered = sorted(specs, key=lambda spec: spec.name)
    folder = PurePosixPath(*package.split("."))
    files = {folder / "airflow" / name: source for name, source in operator_modules(ordered).items()}
    files |= {folder / "kfp" / name: source for name, source in component_modules(ordered).items()}
    for name, what in (("airflow", "Airflow operators"), ("kfp", "KFP components")):
        text = f'"""{what} of our operations.\n\n{MARK}\n"""\n\n__all__: list[str] = []\n'
        files[folder / name / "__init__.py"] = text
    return files


def _module_list(modules: Iterable[str]) -> str:
    names = "".join(f'    "{name}",\n' for name in modules)
    return (
        f'"""The modules with our operators, for the provider information.\n\n{MARK}\n"""\n\n'
        f'__all__ = ["OPERATOR_MODULES"]\n\nOPERATOR_MODULES = (\n{names})\n'
    )


def differences(root: Path, files: Mapping[PurePosixPath, str]) -> list[Difference]:
    """Return where the files below `root` are not what would be generated."""
    found: list[Difference] = []
    for path, text in files.items():
        target = root / path
        if not target.exists():
            found.append((path, "missing"))
        elif target.read_text("utf-8") != text:
            found.append((path, "changed"))
    return sorted([*found, *((path, "stale") for path in _stale(root, files))])


def write_files(root: Path, files: Mapping[PurePosixPath, str]) -> list[Difference]:
    """Write what differs, each file whole or not at all, remove what is stale; return what was the matter."""
    found = differences(root, files)
    for path, matter in found:
        if matter == "stale":
            (root / path).unlink()
        else:
            _write(root / path, files[path])
    return found


def _stale(root: Path, files: Mapping[PurePosixPath, str]) -> list[PurePosixPath]:
    """Return files with our mark, in the folders that we write to, that no operation gives rise to any more."""
    folders = {path.parent for path in files}
    return [
        folder / each.name
        for folder in folders
        for each in (root / folder).glob("*.*")
        if folder / each.name not in files and each.suffix in _WRITTEN and MARK in each.read_text("utf-8")[:1000]
    ]


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
