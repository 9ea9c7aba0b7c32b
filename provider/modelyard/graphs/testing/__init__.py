"""Tools for tests of graphs: the contract that every block keeps, the library's own and yours; comparing replies."""

from modelyard.graphs.testing.block_case import BlockCase
from modelyard.graphs.testing.contract import ContractBroken, check_block, check_case
from modelyard.graphs.testing.differences import Difference, differences
from modelyard.graphs.testing.discovery import library_blocks

__all__ = ["BlockCase", "ContractBroken", "Difference", "check_block", "check_case", "differences", "library_blocks"]
