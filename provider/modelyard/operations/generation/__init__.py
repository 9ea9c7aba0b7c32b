"""Writes what is generated from the operations' declarations: the catalogue, operators, components, references."""

from modelyard.operations.generation.command import checkout_root, generate, generate_for
from modelyard.operations.generation.components import (
    component_modules,
    component_package,
    component_source,
    components_class,
)
from modelyard.operations.generation.files import (
    Difference,
    differences,
    distribution_files,
    generated_files,
    write_files,
)
from modelyard.operations.generation.operators import operator_modules, operator_package, operator_source
from modelyard.operations.generation.reference import cli_reference, components_reference, operations_reference

__all__ = [
    "Difference",
    "checkout_root",
    "cli_reference",
    "component_modules",
    "component_package",
    "component_source",
    "components_class",
    "components_reference",
    "differences",
    "distribution_files",
    "generate",
    "generate_for",
    "generated_files",
    "operations_reference",
    "operator_modules",
    "operator_package",
    "operator_source",
    "write_files",
]
