"""Trains, evaluates, registers and promotes models."""

__all__: list[str] = []
