"""The manifest: which files of a folder are the dataset. It is put last, and replaces its predecessor at once."""

from typing import Any

import msgspec

from modelyard.data.errors import DatasetUnreadable
from modelyard.data.locations import Location

__all__ = ["MANIFEST", "Manifest", "Shard", "read_manifest"]

MANIFEST = "_manifest.json"
FORMAT = "modelyard.dataset/1"


class Shard(msgspec.Struct, frozen=True):
    """One finished file of a dataset.

    Parameters
    ----------
    file
        Its name, relative to the folder.
    rows
        How many rows it holds.
    bytes
        How large it is.
    """

    file: str
    rows: int
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder shows as a dataset.

    Parameters
    ----------
    run
        What wrote it; a part of the files' names.
    rows
        How many rows the files hold together.
    files
        The files, in the order of their rows.
    quarantine
        Files with the rows that were refused, in the same folder.
    metadata
        What the writer wants to say about it: the model, the source, counts.
    writer
        Who wrote it.
    format
        The version of this description.
    """

    run: str
    rows: int
    files: tuple[Shard, ...]
    quarantine: tuple[Shard, ...] = ()
    metadata: dict[str, Any] = {}
    writer: str = ""
    format: str = FORMAT


def read_manifest(folder: Location) -> Manifest | None:
    """Return the folder's manifest; None if it has none.

    Raises
    ------
    DatasetUnreadable
        It is damaged, or of a later version.
    """
    place = folder.child(MANIFEST)
    if not place.exists():
        return None
    try:
        manifest = msgspec.json.decode(place.read(), type=Manifest)
    except msgspec.DecodeError as error:
        reason = f"the manifest is damaged ({error})"
        raise DatasetUnreadable(place.uri, reason, "Write the dataset again.") from error
    if manifest.format != FORMAT:
        reason = f"the manifest's format is {manifest.format!r}, this version reads {FORMAT!r}"
        raise DatasetUnreadable(place.uri, reason, "Read it with a newer version.")
    return manifest
