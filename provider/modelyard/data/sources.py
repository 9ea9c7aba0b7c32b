"""What a dataset was, said in a few words: for runs, manifests and reports."""

import msgspec

__all__ = ["DatasetSource"]


class DatasetSource(msgspec.Struct, frozen=True):
    """A dataset as it was when it was read.

    Parameters
    ----------
    uri
        Its address, without credentials.
    rows
        How many rows it had.
    schema
        The Arrow name of each column's type.
    hash
        The digest of its content.
    """

    uri: str
    rows: int
    schema: dict[str, str]
    hash: str
