"""Writes the ``__init__`` of a generated package."""

from collections.abc import Mapping

from modelyard.operations.generation.source import MARK, docstring

__all__ = ["package_source"]


def package_source(summary: str, package: str, offered: Mapping[str, str]) -> str:
    """Return an ``__init__`` that offers names of its modules, and imports none of them before it is used.

    Parameters
    ----------
    summary
        What the package is: its docstring's first line.
    package
        Its dotted path.
    offered
        Name → the module of the package that holds it.
    """
    names = sorted(offered)
    modules = {module: [name for name in names if offered[name] == module] for module in sorted(offered.values())}
    imports = [f"    from {package}.{module} import {', '.join(held)}" for module, held in modules.items()]
    return "\n".join(
        [
            *docstring([summary, "", MARK]),
            "",
            "from importlib import import_module",
            "from typing import TYPE_CHECKING, Any",
            "",
            "if TYPE_CHECKING:",
            *imports,
            "",
            "__all__ = [",
            *(f'    "{name}",' for name in names),
            "]",
            "",
            "_MODULES = {",
            *(f'    "{name}": "{offered[name]}",' for name in names),
            "}",
            "",
            "",
            "def __getattr__(name: str) -> Any:",
            "    if name not in _MODULES:",
            '        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")',
            '    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)',
            "",
            "",
            "def __dir__() -> list[str]:",
            "    return sorted(__all__)",
            "",
        ]
    )
