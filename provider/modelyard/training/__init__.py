"""Trains and evaluates models."""

__all__: list[str] = []
