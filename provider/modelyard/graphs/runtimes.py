"""What runs or feeds a graph from higher floors of the house, found by name so that graphs import none of it."""

import importlib
from typing import Any

from modelyard.graphs.errors import LibraryMissing

__all__ = ["RUNTIMES", "runtime"]

RUNTIMES: dict[str, tuple[str, str]] = {
    "serve": ("modelyard.serving.local:serve", "serving"),
    "resources": ("modelyard.serving.resources:project_resources", "ml"),
}
"""Role → dotted path, and the extra that it needs."""


def runtime(role: str) -> Any:
    """Return what fills the role.

    Raises
    ------
    LibraryMissing
        A library of the role's extra is not installed.
    """
    path, extra = RUNTIMES[role]
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise LibraryMissing(error.name or module, f"the runtime {role!r} of a graph", extra) from error
