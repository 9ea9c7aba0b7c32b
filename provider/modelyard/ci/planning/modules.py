"""The project's own modules: what each imports and names, found by reading, without running anything."""

import ast
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from modelyard.ci.planning.texts import Texts, texts_of, written_in
from modelyard.projects.loading import import_roots

__all__ = ["FirstParty", "Reach"]

_BY_NAME = frozenset(
    {
        "import_module",
        "__import__",
        "run_module",
        "run_path",
        "spec_from_file_location",
        "iter_modules",
        "walk_packages",
    }
)
_BY_TEXT = frozenset({"exec", "eval"})
"""Only as names of their own: ``model.eval()`` and ``frame.eval()`` are something else."""


class Reach(NamedTuple):
    """What a module depends on.

    Parameters
    ----------
    files
        The files of the project's own modules, its own among them.
    unknown
        Why it may depend on anything; empty if the files are all.
    """

    files: frozenset[Path]
    unknown: str


class _Module(NamedTuple):
    imports: frozenset[str]
    unknown: str


class FirstParty:
    """The modules of one project.

    Parameters
    ----------
    source
        The project's folder.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._read: dict[str, _Module] = {}

    @cached_property
    def files(self) -> dict[str, Path]:
        """Dotted name → file, of every module that the project can import from itself."""
        found: dict[str, Path] = {}
        for root in reversed(import_roots(self._source)):
            for path in _python_files(root):
                parts = path.relative_to(root).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        found.pop("", None)
        return found

    def reach(self, module: str) -> Reach:
        """Return what a module depends on; one that is not the project's own depends on none of its files."""
        names: set[str] = set()
        waiting = list(self._owners(module))
        unknown = ""
        while waiting:
            name = waiting.pop()
            if name in names:
                continue
            names.add(name)
            read = self._module(name)
            unknown = unknown or read.unknown
            waiting += read.imports - names
        return Reach(frozenset(self.files[name] for name in names), unknown)

    def texts(self, module: str, attribute: str) -> Texts | None:
        """Return every text that a definition holds, with those of what it names and of the modules that it imports.

        Parameters
        ----------
        module, attribute
            The definition, as in a handler ``package.module:name``.

        Returns
        -------
        Texts or None
            None if the module is not the project's own, or cannot be read or followed.
        """
        path = self.files.get(module)
        tree = _parsed(path) if path else None
        reach = self.reach(module)
        if tree is None or reach.unknown:
            return None
        defined: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            for name in _names_of(statement):
                defined.setdefault(name, []).append(statement)
        waiting, seen = [attribute.partition(".")[0]], set[str]()
        imported = [
            text for each in reach.files if each != path and (found := _parsed(each)) for text in written_in(found)
        ]
        own: list[ast.stmt] = []
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for statement in defined.get(name, []):
                own.append(statement)
                waiting += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
        return texts_of(own, imported, defined)

    def _owners(self, name: str) -> Iterator[str]:
        """Yield the own modules that importing a dotted name runs: the packages above it, and what it leads to."""
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            if (each := ".".join(parts[:length])) in self.files:
                yield each

    def _module(self, name: str) -> _Module:
        if name not in self._read:
            self._read[name] = self._looked_at(name)
        return self._read[name]

    def _looked_at(self, name: str) -> _Module:
        path = self.files[name]
        tree = _parsed(path)
        if tree is None:
            return _Module(frozenset(), f"{path.name} cannot be read as Python")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        named: set[str] = set()
        unknown = ""
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                named |= set(_imported(node, package))
                if any(each.asname and each.name in _BY_NAME for each in node.names):
                    unknown = f"{path.name} imports under another name what imports (line {node.lineno})"
            elif isinstance(node, ast.Attribute | ast.Name) and _word(node) in _BY_NAME and id(node) not in called:
                unknown = f"{path.name} takes under another name what imports (line {node.lineno})"
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= self._handler_in(node.value)
            elif isinstance(node, ast.Call) and _imports(node) and not _says_what(node):
                unknown = f"{path.name} imports or runs what only running it tells (line {node.lineno})"
        return _Module(frozenset(owner for each in named for owner in self._owners(each)), unknown)

    def _handler_in(self, text: str) -> set[str]:
        """Return the module of a text such as ``flights.training:fit``, or of a module's whole name or file."""
        if text.endswith(".py"):
            return {name for name, path in self.files.items() if path == self._source / text}
        module = text.partition(":")[0]
        return {module} if module in self.files and ("." in module or ":" in text) else set()


def _python_files(root: Path) -> Iterator[Path]:
    """Yield the files that can be imported from a folder; ``.venv`` and the like hold none."""
    for folder, below, files in os.walk(root):
        below[:] = sorted(each for each in below if each.isidentifier() and each != "__pycache__")
        for each in sorted(files):
            if each.endswith(".py") and each.removesuffix(".py").isidentifier():
                yield Path(folder) / each


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _names_of(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        # delays.to(…).respond(): what is said of a graph belongs to it.
        yield from (node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name))
    else:
        # if, try, with, for and += bind names, too.
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name


def _imported(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        above = ".".join(parts[: len(parts) - node.level + 1])
        base = f"{above}.{base}".strip(".")
    yield base
    yield from (f"{base}.{each.name}" for each in node.names)


def _imports(node: ast.Call) -> bool:
    return _called(node) in _BY_NAME or (isinstance(node.func, ast.Name) and node.func.id in _BY_TEXT)


def _called(node: ast.Call) -> str:
    return _word(node.func)


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _says_what(node: ast.Call) -> bool:
    """Tell whether the first argument is written out, and whole: then it counts as a text of the module."""
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Constant) or _called(node) not in ("import_module", "__import__"):
        return False
    return not str(first.value).startswith(".")
