"""Fills a component's artifacts with what its operation has left."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.operations import OperationSpec

__all__ = ["metadata_of", "write_artifacts"]

_TEXT_LENGTH = 500
_CURVES = ".curves.json"
"""What evaluate leaves beside its report: see `modelyard.training.curves_file`, which needs numpy."""


def write_artifacts(spec: OperationSpec, result: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Fill every artifact that the component has.

    A Model or Dataset is a pointer: its URI is the one that operations use, and nothing is copied. Its metadata are
    the scalar fields of the result.

    Parameters
    ----------
    spec
        The operation.
    result
        Its result.
    given
        The arguments of the component's function; artifacts among them.
    """
    for each in spec.results:
        artifact = given.get(f"{each.name}_artifact")
        if artifact is None:
            continue
        if each.type.kind in ("model", "dataset"):
            _point(artifact, str(result[each.name] or ""), metadata_of(spec, result))
        elif each.type.kind == "mapping":
            _measure(artifact, result[each.name] or {})
        else:
            _copy(artifact, str(result[each.name] or ""))
    if given.get("classification_artifact") is not None:
        _classify(given["classification_artifact"], str(result["report"]))
    if given.get("summary_artifact") is not None:
        Path(given["summary_artifact"].path).write_text(summary(spec, result), "utf-8")


def metadata_of(spec: OperationSpec, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result's scalar fields, with the operation's name.

    Examples
    --------
    >>> from modelyard.operations.catalogue import load_catalogue
    >>> register = load_catalogue().spec("register")
    >>> found = {"model": "models:/m/3", "name": "m", "version": 3, "digest": "ab", "created": True}
    >>> metadata_of(register, found)["version"]
    3
    """
    scalars = {
        each.name: result[each.name]
        for each in spec.results
        if isinstance(result[each.name], str | int | float) and each.type.kind not in ("list", "mapping")
    }
    return {"operation": spec.name, **scalars}


def _point(artifact: Any, reference: str, metadata: dict[str, Any]) -> None:
    artifact.uri = reference
    artifact.metadata.update({**metadata, "reference": reference})


def _measure(artifact: Any, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if math.isfinite(value):
            artifact.log_metric(name, float(value))


def _copy(artifact: Any, path: str) -> None:
    if Path(path).is_file():
        Path(artifact.path).write_bytes(Path(path).read_bytes())


def _classify(artifact: Any, report: str) -> None:
    file = Path(report).with_suffix(_CURVES)
    if not file.is_file():
        return
    curves = json.loads(file.read_bytes())
    artifact.log_confusion_matrix(curves["classes"], curves["confusion"])
    if curves["roc"]:
        artifact.log_roc_curve(*curves["roc"])


def summary(spec: OperationSpec, result: Mapping[str, Any]) -> str:
    """Return a result as a page of Markdown."""
    rows = [f"| {each.name} | {_cell(result[each.name])} | {_escaped(each.doc)} |" for each in spec.results]
    head = f"# {spec.name}\n\n{spec.summary}\n\n| field | value | what it is |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"
    return f"`{_escaped(text)}`" if text else ""


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
