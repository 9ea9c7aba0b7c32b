"""``modelyard generate``: for the repositories of modelyard and of distributions that add operations."""

from pathlib import Path

import click

from modelyard.cli.documents import write_json
from modelyard.cli.errors import GeneratedFilesDiffer
from modelyard.cli.options import json_option
from modelyard.cli.output import show_table
from modelyard.operations.generation import checkout_root, generate_for
from modelyard.operations.generation import generate as generate_files

__all__ = ["generate"]


@click.command()
@click.option("--root", default="", metavar="FOLDER", help="The checkout to write to.  [default: the one imported]")
@click.option("--check", is_flag=True, help="Write nothing; fail where a file differs from the declarations.")
@click.option("--distribution", default="", metavar="NAME", help="Write for the operations of that distribution.")
@click.option("--package", default="", metavar="PACKAGE", help="Its package that takes operators and components.")
@json_option
def generate(root: str, check: bool, distribution: str, package: str, json: bool) -> None:
    """Write what is made from operations' declarations: the catalogue, operators, components, the reference."""
    if bool(distribution) != bool(package):
        raise click.UsageError("--distribution and --package belong together.")
    if distribution:
        found = generate_for(distribution, package, Path(root or "."), check=check)
    else:
        found = generate_files(checkout_root(Path(root) if root else None), check=check)
    if check and found:
        raise GeneratedFilesDiffer([str(path) for path, _ in found])
    if json:
        write_json([{"path": str(path), "was": matter} for path, matter in found])
        return
    rows = [[str(path), matter] for path, matter in found]
    show_table("Generated", ["file", "was"], rows, empty="Every generated file is as it should be.")
