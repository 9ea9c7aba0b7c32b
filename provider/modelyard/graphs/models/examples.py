"""The input example that came with a model: rows as requests send them."""

import json
from pathlib import Path
from typing import Any

__all__ = ["read_examples"]

_FILES = ("input_example.json", "serving_input_example.json")


def read_examples(folder: Path) -> tuple[Any, ...]:
    """Return the rows of the input example in an MLflow folder; nothing if there is none that can be read as rows.

    Mappings by feature for a data frame, lists of values for a matrix.

    Parameters
    ----------
    folder
        The MLflow model folder.
    """
    for name in _FILES:
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        rows = _rows(said)
        if rows:
            return tuple(rows)
    return ()


def _rows(said: Any) -> list[Any]:
    if isinstance(said, list):
        return said if all(isinstance(row, list | dict) for row in said) else []
    if not isinstance(said, dict):
        return []
    split = said.get("dataframe_split") or said
    if isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
        return [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    for key in ("dataframe_records", "inputs", "instances"):
        if isinstance(said.get(key), list):
            return _rows(said[key])
    return []
