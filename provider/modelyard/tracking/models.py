"""Stores a model in a run: its flavour, signature, example, requirements and digest."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from modelyard.data.digests import digest_of

from modelyard.tracking.connection import unwarned
from modelyard.tracking.errors import ModelNotLoggable
from modelyard.tracking.requirements import needs_of, requirements_of
from modelyard.tracking.signatures import example_frame, signature_of
from modelyard.tracking.tags import DIGEST

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["LoggedModelInfo", "ModelFacts", "store_model"]

FLAVOURS = {
    "catboost": "catboost",
    "fastai": "fastai",
    "h2o": "h2o",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "onnx": "onnx",
    "paddle": "paddle",
    "prophet": "prophet",
    "spacy": "spacy",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "torch": "pytorch",
    "xgboost": "xgboost",
}
"""Top-level module of a model's class → the MLflow flavour for models that do not follow scikit-learn."""


class ModelFacts(msgspec.Struct, frozen=True):
    """What the one who fitted a model knows about it; travels with the model as its metadata.

    Parameters
    ----------
    features
        The names of the input columns, in order.
    dtypes
        Their Arrow type names, in the same order.
    input
        ``matrix`` if the model takes a NumPy array, ``frame`` if it wants a pandas frame.
    task
        ``classification`` or ``regression``.
    classes
        The classes, in the order of the probabilities.
    label
        The name of the label column.
    """

    features: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    input: str = "matrix"
    task: str = ""
    classes: tuple[Any, ...] = ()
    label: str = ""


class LoggedModelInfo(msgspec.Struct, frozen=True):
    """A model that was stored in a run.

    Parameters
    ----------
    uri
        ``models:/m-…``, which names this very model for ever.
    model_id
        MLflow's identifier of it.
    run_id
        The run that it belongs to.
    name
        Its name within the run, as in ``runs:/run-id/name``.
    digest
        The SHA-256 over its files.
    flavor
        The MLflow flavour it was stored with.
    format
        How it was serialised.
    requirements
        The requirements that travel with it.
    """

    uri: str
    model_id: str
    run_id: str
    name: str
    digest: str
    flavor: str
    format: str
    requirements: tuple[str, ...]


def store_model(
    client: "MlflowClient",
    run: Any,
    model: Any,
    scratch: Path,
    *,
    name: str,
    facts: ModelFacts,
    input_example: Any,
    requirements: Sequence[str],
    metadata: Mapping[str, Any],
) -> LoggedModelInfo:
    """Store `model` in `run`; on any error no model is left behind."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    flavor = _flavor_of(model)
    needs = needs_of(model) if flavor in ("sklearn", "pyfunc") else None
    modules = needs.modules if needs else (type(model).__module__.partition(".")[0],)
    listed = requirements_of([*modules, "numpy", *(["sklearn"] if flavor == "sklearn" else [])], requirements)
    example = example_frame(input_example, facts.features)
    logged = client.create_logged_model(run.info.experiment_id, name, run.info.run_id)
    folder = scratch / logged.model_id
    try:
        told = {**msgspec.to_builtins(facts), **metadata}
        _save(
            folder,
            flavor,
            model,
            needs.format if needs else "",
            logged,
            run.info.run_id,
            {
                "signature": signature_of(model, facts, example),
                "input_example": example,
                "pip_requirements": listed,
                "metadata": {"modelyard": told},
            },
        )
        digest = digest_of(folder)
        client.log_model_artifacts(logged.model_id, str(folder))
        client.set_logged_model_tags(logged.model_id, {DIGEST: digest})
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        client.delete_logged_model(logged.model_id)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return LoggedModelInfo(
        uri=f"models:/{logged.model_id}",
        model_id=logged.model_id,
        run_id=run.info.run_id,
        name=name,
        digest=digest,
        flavor=flavor,
        format=needs.format if needs else flavor,
        requirements=tuple(listed),
    )


def _flavor_of(model: Any) -> str:
    with unwarned():
        from mlflow.pyfunc import PythonModel

    if isinstance(model, type):
        raise ModelNotLoggable(model, "it is a class, not an object of it")
    if isinstance(model, PythonModel):
        return "pyfunc"
    if callable(getattr(model, "predict", None)) and hasattr(model, "fit"):
        return "sklearn"
    for kind in type(model).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in FLAVOURS:
            return FLAVOURS[root]
    if callable(getattr(model, "predict", None)):
        return "sklearn"
    raise ModelNotLoggable(model, "it has no method predict")


def _save(
    folder: Path, flavor: str, model: Any, format: str, logged: Any, run_id: str, described: dict[str, Any]
) -> None:
    from importlib import import_module

    from mlflow.models import Model

    made = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        run_id=run_id,
    )
    options = {**described, "mlflow_model": made, "path": str(folder)}
    with unwarned():
        if flavor == "pyfunc":
            import_module("mlflow.pyfunc").save_model(python_model=model, **options)
        elif flavor == "sklearn":
            import_module("mlflow.sklearn").save_model(model, serialization_format=format, **options)
        else:
            import_module(f"mlflow.{flavor}").save_model(model, **options)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
