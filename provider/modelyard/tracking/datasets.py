"""A dataset as MLflow records it: where it is, how much, with which columns and content."""

import json
import re
from typing import Any, Protocol

__all__ = ["dataset_input"]

_DIGEST_CHARACTERS = 36


class Sourced(Protocol):
    """The part of a dataset's source that lineage needs."""

    @property
    def uri(self) -> str:
        """Where the data is."""

    @property
    def rows(self) -> int:
        """How many rows it has."""

    @property
    def schema(self) -> Any:
        """Column names and Arrow types: an Arrow schema, or a mapping."""

    @property
    def hash(self) -> str:
        """The hash of the content."""


def dataset_input(source: Sourced, context: str) -> Any:
    """Return the MLflow input that says: this data was used as `context`.

    Parameters
    ----------
    source
        URI, rows, schema and content hash.
    context
        What it was used for, such as ``training`` or ``evaluation``.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind, place = _source_of(source.uri)
    columns = [{"name": name, "type": str(type_), "required": False} for name, type_ in _columns(source.schema)]
    dataset = Dataset(
        name=re.split(r"[/\\]", source.uri.rstrip("/"))[-1][:500] or "dataset",
        digest=source.hash.removeprefix("sha256:")[:_DIGEST_CHARACTERS],
        source_type=kind,
        source=json.dumps(place),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": source.rows, "content_hash": source.hash}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _source_of(uri: str) -> tuple[str, dict[str, str]]:
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        return "local", {"uri": rest if separator else uri}
    if scheme in ("http", "https"):
        return "http", {"url": uri}
    return scheme, {"uri": uri}


def _columns(schema: Any) -> list[tuple[str, Any]]:
    if hasattr(schema, "names") and hasattr(schema, "types"):
        return list(zip(schema.names, schema.types, strict=True))
    return list(dict(schema or {}).items())
