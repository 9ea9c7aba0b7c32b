"""Finds the blocks of the library: what the reference table lists, and what the contract suite must cover."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

__all__ = ["library_blocks"]

_PACKAGES = ("models", "routers", "ensembles", "steps")
_METHODS = ("do", "do_event", "select", "combine")


def library_blocks() -> dict[str, list[type]]:
    """Return the public blocks of the library by package: classes that go into a graph.

    Examples
    --------
    >>> [block.__name__ for block in library_blocks()["steps"]][:3]
    ['Deduplicate', 'Fields', 'Fold']
    """
    return {
        name: list(_blocks(f"modelyard.graphs.{name}")) for name in _PACKAGES if find_spec(f"modelyard.graphs.{name}")
    }


def _blocks(package: str) -> Iterator[type]:
    module = import_module(package)
    for name in sorted(module.__all__):
        found = getattr(module, name)
        if inspect.isclass(found) and _is_block(found):
            yield found


def _is_block(found: type) -> bool:
    if found.__module__.startswith("modelyard.graphs.models.server"):
        return False  # what serves the models, and is no block itself
    if any(callable(getattr(found, method, None)) for method in _METHODS):
        return True
    from modelyard.graphs.models import Model

    return issubclass(found, Model) and found is not Model
