"""What a model needs to be loaded again: how it pickles, and which installed distributions its pickle names."""

import io
import pickle
import pickletools
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any, Literal, NamedTuple

from modelyard.tracking.errors import ModelNotLoggable

__all__ = ["Needs", "needs_of", "requirements_of"]

PROTOCOL = 5


class Needs(NamedTuple):
    """How a model is pickled and what its pickle refers to.

    Parameters
    ----------
    format
        ``pickle``, or ``cloudpickle`` where pickle would lose what is defined in a script or a function.
    modules
        The top-level modules that it names, sorted.
    """

    format: Literal["pickle", "cloudpickle"]
    modules: tuple[str, ...]


def needs_of(model: Any) -> Needs:
    """Return how `model` is pickled and which modules loading it imports.

    Raises
    ------
    ModelNotLoggable
        It cannot be pickled at all.
    """
    try:
        data = pickle.dumps(model, protocol=PROTOCOL)
        modules = _modules_in(data)
        if "__main__" not in modules:
            return Needs("pickle", tuple(sorted(modules)))
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    import cloudpickle

    try:
        data = cloudpickle.dumps(model, protocol=PROTOCOL)
    except Exception as error:
        raise ModelNotLoggable(model, f"it cannot be pickled: {error}") from error
    return Needs("cloudpickle", tuple(sorted({*_modules_in(data), "cloudpickle"} - {"__main__"})))


def _modules_in(data: bytes) -> set[str]:
    """Return the top-level modules that a pickle names, without loading it."""
    found: set[str] = set()
    texts: list[str | None] = []
    memo: dict[int, str | None] = {}
    last: str | None = None
    for code, argument, _ in pickletools.genops(io.BytesIO(data)):
        if code.name == "MEMOIZE":
            memo[len(memo)] = last
            continue
        if code.name in ("BINGET", "LONG_BINGET"):
            last = memo.get(argument)
            texts.append(last)
        elif "UNICODE" in code.name:
            last = argument
            texts.append(last)
        elif code.name == "STACK_GLOBAL":
            module = texts[-2] if len(texts) > 1 else None
            found.add((module or "").partition(".")[0])
            last = None
        elif code.name == "GLOBAL":
            found.add(argument.partition(" ")[0].partition(".")[0])
            last = None
        else:
            last = None
    return found - {""}


def requirements_of(modules: Iterable[str], extra: Iterable[str] = ()) -> list[str]:
    """Return ``distribution==version`` for the installed distributions that the modules belong to.

    Modules of the standard library and of the project itself belong to none and need none.

    Parameters
    ----------
    modules
        Top-level module names.
    extra
        Requirements to add as they are, say those that the project's function declares; they win.
    """
    owners = _owners()
    found = {}
    for module in modules:
        if module in sys.stdlib_module_names:
            continue
        for name in owners.get(module, ()):
            try:
                found[_plain(name)] = f"{name}=={version(name)}"
            except PackageNotFoundError:
                continue
    for requirement in extra:
        found[_plain(_name_in(requirement))] = requirement
    return sorted(found.values())


@cache
def _owners() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in packages_distributions().items()}


def _name_in(requirement: str) -> str:
    end = next((i for i, char in enumerate(requirement) if not (char.isalnum() or char in "-_.")), len(requirement))
    return requirement[:end]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
