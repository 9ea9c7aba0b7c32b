"""Stores a model in a run: its flavour, signature, example, requirements and digest."""

import shutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from modelyard.data.digests import digest_of
from modelyard.tracking.connection import unwarned
from modelyard.tracking.errors import ModelNotLoggable
from modelyard.tracking.requirements import needs_of, own_modules, requirements_of
from modelyard.tracking.signatures import example_frame, signature_of
from modelyard.tracking.tags import DIGEST

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["LoggedModelInfo", "ModelFacts", "ModelParts", "store_model"]

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


class ModelParts(NamedTuple):
    """A model with what is said about it, on its way into a run."""

    model: Any
    name: str
    facts: ModelFacts
    input_example: Any
    requirements: Sequence[str]
    metadata: Mapping[str, Any]


def store_model(client: "MlflowClient", run: Any, parts: ModelParts, scratch: Path) -> LoggedModelInfo:
    """Store a model in a run; on any error nothing of it is left behind.

    Parameters
    ----------
    client
        A client of the store.
    run
        The MLflow run.
    parts
        The model and what is said about it.
    scratch
        An empty folder.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    run_id = run.info.run_id
    saving = _plan(parts)
    logged = client.create_logged_model(run.info.experiment_id, parts.name, run_id)
    folder = scratch / logged.model_id
    try:
        with unwarned():
            saving.save(folder, _described(logged, run_id))
        for cache in folder.rglob("__pycache__"):
            shutil.rmtree(cache, ignore_errors=True)
        digest = digest_of(folder)
        client.log_model_artifacts(logged.model_id, str(folder))
        client.set_logged_model_tags(logged.model_id, {DIGEST: digest})
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except BaseException as error:
        _discard(client, logged.model_id, error)
        raise
    return LoggedModelInfo(
        uri=f"models:/{logged.model_id}",
        model_id=logged.model_id,
        run_id=run_id,
        name=parts.name,
        digest=digest,
        flavor=saving.flavor,
        format=saving.format,
        requirements=tuple(saving.options["pip_requirements"]),
    )


class _Saving(NamedTuple):
    """How a model becomes files."""

    model: Any
    flavor: str
    format: str
    options: dict[str, Any]

    def save(self, folder: Path, described: Any) -> None:
        module = import_module(f"mlflow.{self.flavor}")
        options = {**self.options, "mlflow_model": described, "path": str(folder)}
        if self.flavor == "pyfunc":
            module.save_model(python_model=self.model, **options)
        elif self.flavor == "sklearn":
            module.save_model(self.model, serialization_format=self.format, **options)
        else:
            module.save_model(self.model, **options)


def _plan(parts: ModelParts) -> _Saving:
    flavor = _flavor_of(parts.model)
    format_: str = flavor
    modules: tuple[str, ...] = (type(parts.model).__module__.partition(".")[0],)
    if flavor in ("sklearn", "pyfunc"):
        format_, modules = needs_of(parts.model)
    needed = [*modules, "numpy", *(["sklearn"] if flavor == "sklearn" else [])]
    said = {**msgspec.to_builtins(parts.facts), **parts.metadata, "modules": own_modules(modules)}
    example = example_frame(parts.input_example, parts.facts, flavor)
    options = {
        "signature": signature_of(parts.model, parts.facts, example, flavor),
        "input_example": example,
        "pip_requirements": requirements_of(needed, parts.requirements),
        "metadata": {"modelyard": said},
    }
    return _Saving(parts.model, flavor, format_, options)


def _flavor_of(model: Any) -> str:
    if isinstance(model, type):
        raise ModelNotLoggable(model, "it is a class, not an object of it")
    with unwarned():
        from mlflow.pyfunc.model import PythonModel

    if isinstance(model, PythonModel):
        return "pyfunc"
    predicts = callable(getattr(model, "predict", None))
    if predicts and hasattr(model, "fit"):
        return "sklearn"
    roots = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    for root in roots:
        if root in FLAVOURS:
            return FLAVOURS[root]
    if predicts:
        return "sklearn"
    raise ModelNotLoggable(model, "it has no method predict")


def _described(logged: Any, run_id: str) -> Any:
    from mlflow.models import Model

    return Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        run_id=run_id,
    )


def _discard(client: "MlflowClient", model_id: str, error: BaseException) -> None:
    try:
        client.finalize_logged_model(model_id, "FAILED")
        client.delete_logged_model(model_id)
    except Exception as problem:  # noqa: BLE001 (what went wrong first is what matters)
        error.add_note(f"The unfinished model {model_id} could not be removed: {problem}")
