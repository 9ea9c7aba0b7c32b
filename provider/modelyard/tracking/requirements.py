"""What a model needs to be loaded again: how it pickles, and which installed distributions its pickle names."""

import pickle
import pickletools
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import IO, Any, Literal, NamedTuple, cast

from modelyard.tracking.errors import ModelNotLoggable

__all__ = ["Needs", "needs_of", "own_modules", "requirements_of"]

PROTOCOL = 5
IN_MEMORY = 2**26
_IMPORTS = "\0import"
"""Stands for cloudpickle's function that imports the module whose name follows it."""


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
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as stream:
        try:
            pickle.dump(model, stream, protocol=PROTOCOL)
            modules = _modules_in(stream)
        except (pickle.PicklingError, AttributeError, TypeError):
            modules = {"__main__"}
    if "__main__" not in modules:
        return Needs("pickle", tuple(sorted(modules)))
    import cloudpickle

    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as stream:
        try:
            cloudpickle.dump(model, stream, protocol=PROTOCOL)
        except Exception as error:
            raise ModelNotLoggable(model, f"it cannot be pickled ({error})") from error
        modules = {*_modules_in(stream), "cloudpickle"}
    return Needs("cloudpickle", tuple(sorted(modules - {"__main__"})))


def _modules_in(stream: IO[bytes]) -> set[str]:
    """Return the top-level modules that a pickle names, without loading it."""
    stream.seek(0)
    found: set[str] = set()
    texts: list[str] = []
    memo: dict[int, str] = {}
    last = ""
    for code, argument, _ in pickletools.genops(stream):
        if code.name == "MEMOIZE":
            memo[len(memo)] = last
            continue
        if code.name in ("BINGET", "LONG_BINGET"):
            text = memo.get(cast("int", argument), "")
        else:
            text = str(argument) if "UNICODE" in code.name else ""
        if last == _IMPORTS and text:
            found.add(text)
        last = text
        if text:
            texts.append(text)
        elif code.name == "STACK_GLOBAL":
            module, name = texts[-2:]
            texts.clear()
            found.add(module)
            last = _IMPORTS if name == "subimport" else ""
    return {name.partition(".")[0] for name in found}


def own_modules(modules: Iterable[str]) -> list[str]:
    """Return those modules that no installed distribution owns: the project's own code."""
    owners = _owners()
    return sorted(name for name in modules if name not in owners and name not in sys.stdlib_module_names)


def requirements_of(modules: Iterable[str], more: Iterable[str] = ()) -> list[str]:
    """Return ``distribution==version`` for the installed distributions that the modules belong to.

    Modules of the standard library and of the project itself belong to none and need none.

    Parameters
    ----------
    modules
        Top-level module names.
    more
        Further requirements, say those that the project's function declares: for a distribution that is installed
        the installed version, which is what the model was fitted with.

    Examples
    --------
    >>> [text.partition("==")[0] for text in requirements_of(["json", "yaml", "my_project"])]
    ['PyYAML']
    """
    owners = _owners()
    found = {}
    for module in modules:
        if module not in sys.stdlib_module_names:
            for name in owners.get(module, ()):
                found[_plain(name)] = f"{name}=={version(name)}"
    for text in more:
        name, pinned = _pinned(text)
        found.setdefault(_plain(name), pinned)
    return sorted(found.values())


@cache
def _owners() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in packages_distributions().items()}


def _pinned(text: str) -> tuple[str, str]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
        if requirement.url:
            return requirement.name, text
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        return requirement.name, f"{requirement.name}{extras}=={version(requirement.name)}"
    except (InvalidRequirement, PackageNotFoundError):
        return text, text


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
