"""Generates everything, or says what differs; `make generate` and `modelyard generate` call it."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations.catalogue import GROUP, build_catalogue, load_catalogue
from modelyard.operations.declaration import OperationSpec
from modelyard.operations.errors import OperationNotFound
from modelyard.operations.generation.errors import CheckoutNotFound
from modelyard.operations.generation.files import (
    CATALOGUE,
    Difference,
    differences,
    distribution_files,
    generated_files,
    write_files,
)

__all__ = ["checkout_root", "generate", "generate_for", "main"]


def checkout_root(start: Path | None = None) -> Path:
    """Return the root of the checkout that holds `start`, by default the one that this module is imported from.

    Raises
    ------
    CheckoutNotFound
        modelyard is installed, not checked out: there is nothing to write to.
    """
    start = (start or Path(__file__)).resolve()
    for folder in (start, *start.parents):
        if (folder / CATALOGUE.parent / "declaration.py").is_file():
            return folder
    raise CheckoutNotFound(start)


def generate(root: Path, *, check: bool = False) -> list[Difference]:
    """Write all generated files below `root`, and return what differed before.

    Parameters
    ----------
    root
        The root of a checkout.
    check
        Only compare; write nothing.

    Raises
    ------
    DeclarationInvalid
        An entry point names no operation of that name.
    """
    catalogue = build_catalogue()
    specs = msgspec.json.decode(catalogue, type=list[OperationSpec])
    files: dict[PurePosixPath, str] = {CATALOGUE: catalogue.decode(), **generated_files(specs)}
    return differences(root, files) if check else write_files(root, files)


def generate_for(distribution: str, package: str, root: Path, *, check: bool = False) -> list[Difference]:
    """Write the operators and components of another distribution's operations, and return what differed before.

    Parameters
    ----------
    distribution
        The name of the installed distribution.
    package
        The dotted path of the package of its that takes them.
    root
        The folder of its source that the package lies in.
    check
        Only compare; write nothing.

    Raises
    ------
    OperationNotFound
        The distribution declares no operation.
    DeclarationInvalid
        An entry point names no operation of that name.
    """
    catalogue = load_catalogue()
    points = [point for point in entry_points(group=GROUP) if point.dist and point.dist.name == distribution]
    names = sorted(point.name for point in points)
    if not names:
        raise OperationNotFound(f"of {distribution}", list(catalogue))
    files = distribution_files([catalogue.load(name).spec for name in names], package)
    return differences(root, files) if check else write_files(root, files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where ``--check`` found a difference, or the exit code of an error."""
    parser = argparse.ArgumentParser("python -m modelyard.operations.generation", description=__doc__)
    parser.add_argument("--root", type=Path, help="the checkout to write to; by default the one that is imported")
    parser.add_argument("--check", action="store_true", help="write nothing, and end with 1 where something differs")
    given = parser.parse_args(arguments)
    try:
        found = generate(checkout_root(given.root), check=given.check)
    except ModelyardError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.outcome.exit_code
    for path, matter in found:
        sys.stdout.write(f"{matter:8} {path}\n")
    if found and given.check:
        sys.stderr.write("error: generated files differ from the declarations. Run make generate.\n")
        return 1
    return 0
