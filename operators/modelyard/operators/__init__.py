"""Operators for orchestrators: front doors to the operations, one package for each orchestrator."""

__all__: list[str] = []
