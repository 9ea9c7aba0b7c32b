"""Engines: each gives a workflow the same meaning somewhere else."""

from modelyard.workflows.engines.local import LocalEngine

__all__ = ["LocalEngine"]
