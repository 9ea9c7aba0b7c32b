"""Datasets at any address, as Arrow batches: schemas, digests, profiles, and writing that is seen whole or not at all."""

__all__: list[str] = []
