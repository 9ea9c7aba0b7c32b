"""A dataset as MLflow records it: where it is, how much, with which columns and content."""

import json
import re
from typing import Any

from modelyard.data.sources import DatasetSource

__all__ = ["dataset_input"]

_DIGEST_CHARACTERS = 36


def dataset_input(source: DatasetSource, context: str) -> Any:
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
    columns = [{"name": name, "type": type_, "required": False} for name, type_ in source.schema.items()]
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
