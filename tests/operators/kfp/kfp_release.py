"""What depends on the release of KFP that is installed."""

from importlib.metadata import version

import pytest

RELEASE = tuple(int(part) for part in version("kfp").split(".")[:2])

needs_local_runner = pytest.mark.skipif(
    RELEASE < (2, 17), reason="before 2.17 KFP's local runner knows no exit handlers, loops, or optional artifacts"
)
"""Marks tests that execute pipelines with more than plain tasks; the components and what is compiled are the same."""
