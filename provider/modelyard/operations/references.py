"""References: the URIs that operations exchange instead of data and models."""

from typing import Annotated, NamedTuple

__all__ = ["DatasetRef", "ModelRef", "Reference"]


class Reference(NamedTuple):
    """Marks a string parameter or result as the address of something."""

    to: str
    """What it points at: ``dataset`` or ``model``."""


DatasetRef = Annotated[str, Reference("dataset")]
"""A dataset's address: a path relative to the project, or any fsspec URI, of a file or a folder."""

ModelRef = Annotated[str, Reference("model")]
"""A model's address: ``models:/name@alias``, ``models:/name/version`` or ``runs:/run-id/model``."""
