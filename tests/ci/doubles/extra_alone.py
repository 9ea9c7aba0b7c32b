"""The command ``modelyard`` as it is where one of its extras is installed, and nothing else."""

import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["command_with"]

_PROGRAM = """#!{python}
import sys
from importlib.machinery import PathFinder

MISSING = frozenset({missing!r})


class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else super().find_spec(name, path, target)


sys.meta_path = [Installed if each is PathFinder else each for each in sys.meta_path]
from modelyard.cli.main import main

sys.exit(main())
"""


def command_with(extra: str, folder: Path) -> Path:
    """Write the program into a folder for the PATH, and return that folder: it finds what the extra brings alone."""
    brought = _brought("modelyard", extra)
    known = {name: {canonicalize_name(each) for each in found} for name, found in packages_distributions().items()}
    missing = sorted(name for name, found in known.items() if name.isidentifier() and not found & brought)
    program = folder / "modelyard"
    folder.mkdir(parents=True)
    program.write_text(_PROGRAM.format(python=sys.executable, missing=missing))
    program.chmod(0o755)
    return folder


def _brought(distribution: str, extra: str = "", known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return a distribution with all that it requires, by their names."""
    found = known | {canonicalize_name(distribution)}
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return found  # for another platform, or not installed here
    for line in lines:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            for each in needed.extras or {""}:
                if each or canonicalize_name(needed.name) not in found:
                    found = _brought(needed.name, each, found)
    return found
