"""Imports the project's code from where it lies, and says in one line what is wrong with it."""

import importlib
import os
import pkgutil
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from modelyard.errors import ModelyardError, near_name
from modelyard.operations.switches import is_stop
from modelyard.projects.errors import FunctionNotFound, ModuleHidden, NameNotFound, NotCallable, ProjectImportFailed

__all__ = ["import_roots", "load_attribute", "load_callable"]

_MANY = 20
_lock = threading.RLock()


class _Loaded(NamedTuple):
    module: str
    file: str
    state: tuple[int, int]
    """Time of last change in nanoseconds, and size."""


class _Active:
    """The project whose code is imported now: one at a time, for two may name their modules alike."""

    roots: tuple[Path, ...] = ()
    loaded: ClassVar[dict[str, _Loaded]] = {}
    since: int = 0
    """When the code was imported, in nanoseconds of the clock that files are stamped with."""


def import_roots(source: Path) -> tuple[Path, ...]:
    """Return the folders that a project's modules are imported from: the project, and ``src/`` in it."""
    return (source, source / "src") if (source / "src").is_dir() else (source,)


def load_callable(source: Path, handler: str, root: Path | None = None) -> Any:
    """Import ``package.module:name`` from a project and return the function.

    Raises
    ------
    FunctionNotFound
        There is no such module or attribute.
    NotCallable
        It is no function.
    ModuleHidden, ProjectImportFailed
        The module cannot be imported.
    """
    found = load_attribute(source, handler, FunctionNotFound, root)
    if not callable(found):
        raise NotCallable(handler, f"a value of type {type(found).__name__}", _file_of(handler, source))
    return found


def load_attribute(source: Path, handler: str, missing: type[NameNotFound], root: Path | None = None) -> Any:
    """Import ``package.module:name`` from a project and return what it names.

    A module is imported again when its file, or another of the project, has changed since.

    Parameters
    ----------
    source
        Where the code lies.
    handler
        What to import.
    missing
        The error for a name that leads nowhere.
    root
        Where the same code may have been imported from before, when `source` is a snapshot of it.

    Raises
    ------
    NameNotFound
        There is no such module or attribute: the class given as `missing`.
    ModuleHidden, ProjectImportFailed
        The module cannot be imported.
    ModelyardError
        What the module defines breaks a rule of ours.
    """
    name, _, attribute = handler.partition(":")
    with _lock:
        _activate(source, root or source)
        module = _imported(source, name, handler, missing)
        _Active.loaded = {each.module: each for each in _loaded(_Active.roots)}
        _Active.since = time.time_ns()
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            detail, mend = f"{name} has no {part}", _near_attribute(part, found)
            raise missing(handler, [], where=_file_of(handler, source), detail=detail, mend=mend)
        found = getattr(found, part)
    return found


def _near_attribute(name: str, owner: Any) -> str:
    public = {key: value for key, value in getattr(owner, "__dict__", {}).items() if not key.startswith("_")}
    own = [key for key, value in public.items() if getattr(value, "__module__", None) == getattr(owner, "__name__", "")]
    mend = near_name(name, list(public))
    return mend if mend.startswith("Did") or len(own) > _MANY else near_name(name, own)


def _file_of(handler: str, source: Path) -> str:
    module = sys.modules.get(handler.partition(":")[0])
    return str(getattr(module, "__file__", None) or source)


def _activate(source: Path, root: Path) -> None:
    roots = import_roots(source)
    others = [each for each in (*_Active.roots, *import_roots(root)) if each not in roots]
    if roots == _Active.roots and any(_has_changed(each) for each in _loaded(roots)):
        others += roots
    for stale in _loaded(others):
        sys.modules.pop(stale.module, None)
    for path in map(str, _Active.roots):
        if path in sys.path:
            sys.path.remove(path)
    sys.path[:0] = [str(each) for each in roots]
    _Active.roots = roots
    importlib.invalidate_caches()


def _loaded(roots: Sequence[Path]) -> list[_Loaded]:
    """Return the imported modules whose place in a root is what their name says: never an installed library."""
    modules = [(name, _place_of(module)) for name, module in list(sys.modules.items())]
    return [
        _Loaded(name, file, _state_of(file))
        for root in map(str, roots)
        for name, file in modules
        if file.startswith(root) and file.removeprefix(root + os.sep) in _tails(name)
    ]


def _has_changed(module: _Loaded) -> bool:
    known = _Active.loaded.get(module.module)
    # What a function imports while it runs came after the last look: only the clock can tell.
    return module.state[0] > _Active.since if known is None else known.state != module.state


def _tails(name: str) -> tuple[str, str, str]:
    inner = name.replace(".", os.sep)
    return f"{inner}.py", f"{inner}{os.sep}__init__.py", inner


def _place_of(module: ModuleType | None) -> str:
    """Return a module's file, or the folder of a package without ``__init__.py``."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file
    try:
        folders = list(getattr(module, "__path__", ()))
    except (KeyError, TypeError):
        return ""
    return str(folders[0]) if len(folders) == 1 else ""


def _state_of(file: str) -> tuple[int, int]:
    try:
        status = Path(file).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size) if file.endswith(".py") else (0, 0)


def _imported(source: Path, name: str, handler: str, missing: type[NameNotFound]) -> ModuleType:
    _check_not_hidden(source, name.partition(".")[0])
    try:
        return importlib.import_module(name)
    except ModelyardError:  # a definition that breaks a rule says so itself: a workflow, a graph
        raise
    except ModuleNotFoundError as error:
        absent = error.name or ""
        if name == absent or name.startswith(f"{absent}."):
            raise _absent(source, absent, handler, missing) from None
        library = absent.partition(".")[0]
        mine = library in _names_in(import_roots(source))
        raise ProjectImportFailed(name, error, _place_in(error, source), "" if mine else library) from error
    except BaseException as error:  # whatever the user's code raises is told as such, SystemExit too
        if is_stop(error):
            raise
        raise ProjectImportFailed(name, error, _place_in(error, source)) from error


def _check_not_hidden(source: Path, top: str) -> None:
    present = sys.modules.get(top)
    if present is None:
        return
    tails = (f"{top}/__init__.py", f"{top}.py", top)
    mine = next((root / tail for root in import_roots(source) for tail in tails if (root / tail).exists()), None)
    if mine is None or (mine.is_dir() and str(mine) in list(getattr(present, "__path__", ()))):
        return
    other = _place_of(present)
    if not other or os.path.realpath(other) != str(mine.resolve()):
        raise ModuleHidden(top, other or "built into Python", str(mine))


def _absent(source: Path, absent: str, handler: str, missing: type[NameNotFound]) -> NameNotFound:
    parent = absent.rpartition(".")[0]
    roots = list(import_roots(source))
    if parent:
        roots = [Path(path) for path in getattr(sys.modules.get(parent), "__path__", ())]
    mend = near_name(absent, [f"{parent}.{name}" if parent else name for name in _names_in(roots)])
    if not mend.startswith("Did"):
        mend = f"Modules are looked for in {', '.join(map(str, roots)) or source}."
    return missing(handler, [], where=str(source), detail=f"there is no module {absent}", mend=mend)


def _names_in(roots: Sequence[Path]) -> list[str]:
    return sorted({module.name for module in pkgutil.iter_modules([str(root) for root in roots])})


def _place_in(error: BaseException, source: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(source)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(source)
