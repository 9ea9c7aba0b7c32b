"""Loads a model from its MLflow folder without MLflow: the same code scores in training, batch and serving."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import yaml

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import (
    FeatureMissing,
    FeatureWrong,
    FlavorUnsupported,
    LibraryMissing,
    ModelDigestWrong,
    ModelFilesInvalid,
    ModelNotTrusted,
    PredictionFailed,
)
from modelyard.graphs.models.examples import read_examples
from modelyard.graphs.models.labels import labels_follow
from modelyard.graphs.models.restoring import restored
from modelyard.graphs.models.rows import matrix_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LoadedModel", "ModelCard", "Predictions", "open_model", "read_card"]

_FILES = {"sklearn": "model.pkl", "onnx": "model.onnx"}
_HARMLESS = ("skops", "onnx")

Input = Literal["matrix", "frame"]


class Predictions(NamedTuple):
    """What a model says about some rows.

    Parameters
    ----------
    labels
        One per row: a class, or a number for a regression.
    probabilities
        Rows by classes, in the order of `LoadedModel.classes`; None for a model that has none.
    """

    labels: "NDArray[Any]"
    probabilities: "NDArray[np.float64] | None" = None

    @property
    def probability(self) -> "NDArray[np.float64] | None":
        """One number per row: that of the second class where there are two, that of the likeliest otherwise.

        With two classes the second is the positive one: true, 1, or the later word in the alphabet.
        """
        if self.probabilities is None:
            return None
        two = self.probabilities.shape[1] == 2
        return self.probabilities[:, 1] if two else self.probabilities.max(axis=1)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model's folder says about it, read without loading the model.

    Parameters
    ----------
    features
        The names of the columns, in the model's order; empty if the folder does not say.
    dtypes
        Their Arrow type names, in the same order; empty if the folder does not say.
    input
        ``matrix`` if the model takes a NumPy array, ``frame`` if it wants a pandas frame.
    task
        ``classification``, ``regression`` or empty.
    classes
        The classes, in the order of the probabilities.
    label
        The name of the label column.
    file
        The serialised estimator, relative to the folder.
    format
        ``pickle``, ``cloudpickle``, ``skops`` or ``onnx``.
    skops_types
        The types that the model's own file asks skops to trust.
    code
        The folder with the model's own modules, relative; empty if there is none.
    """

    features: tuple[str, ...]
    dtypes: tuple[str, ...]
    input: Input
    task: str
    classes: tuple[Any, ...]
    label: str
    file: str
    format: str
    skops_types: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to predict.

    Parameters
    ----------
    estimator
        The object that was fitted.
    card
        What the model's folder says about it.
    digest
        The digest of the files it was loaded from.
    classes
        The classes, in the order of the probabilities.
    name
        How errors call it.
    examples
        Rows from the folder's input example: mappings by feature, or lists of values.
    one_call
        Whether the labels are proven to follow from the probabilities, so that one call of the estimator gives both.
    """

    estimator: Any
    card: ModelCard
    digest: str
    classes: tuple[Any, ...] = ()
    name: str = "model"
    examples: tuple[Any, ...] = ()
    one_call: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns, in the model's order."""
        return self.card.features

    @property
    def task(self) -> str:
        """``classification`` or ``regression``."""
        return self.card.task

    def predict(self, matrix: "NDArray[Any]") -> Predictions:
        """Return label and probabilities of each row.

        Parameters
        ----------
        matrix
            Rows by features, in the order of `features`, as `modelyard.data` makes it for training.

        Raises
        ------
        PredictionFailed
            The estimator raised.
        """
        rows = self.rows(matrix)
        try:
            if self.one_call:
                return _from_probabilities(self.estimator, rows)
            labels = self.estimator.predict(rows)
            probable = self.task != "regression" and hasattr(self.estimator, "predict_proba")
            return Predictions(labels, self.estimator.predict_proba(rows) if probable else None)
        except Exception as error:
            raise PredictionFailed(self.name, error) from error

    def rows(self, matrix: "NDArray[Any]") -> Any:
        """Return rows by features as the estimator wants them: the matrix itself, or a pandas frame."""
        return _frame(matrix, self.card) if self.card.input == "frame" else matrix


def _from_probabilities(estimator: Any, rows: Any) -> Predictions:
    """Return labels and probabilities of one call; the estimator itself decides between equally likely classes."""
    import numpy as np

    both = getattr(estimator, "predict_both", None)
    if both is not None:
        return Predictions(*both(rows))
    probabilities = estimator.predict_proba(rows)
    if probabilities.shape[1] == 2:  # the common case, without sorting every row
        second = probabilities[:, 1] > probabilities[:, 0]
        tied = probabilities[:, 1] == probabilities[:, 0]
        best = second.astype(np.intp)
    else:
        best = probabilities.argmax(axis=1)
        tied = _are_tied(probabilities)
    labels = estimator.classes_.take(best)
    if tied.any():
        labels[tied] = estimator.predict(rows)[tied]
    return Predictions(labels, probabilities)


def _are_tied(probabilities: "NDArray[Any]") -> "NDArray[np.bool_]":
    """Return for each row whether two classes are equally the likeliest."""
    import numpy as np

    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities), dtype=bool)
    top = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 0] == top[:, 1])


def open_model(folder: Path, *, digest: str | None, trust: bool = False, name: str = "") -> LoadedModel:
    """Load the model in `folder`, if it is known to be harmless or somebody vouches for it.

    Pickles run code when they are loaded, and so may skops files that name types to trust. Such a model is loaded
    only if its files have the digest that a registry recorded for them, or on an explicit yes.

    Parameters
    ----------
    folder
        An MLflow model folder with the scikit-learn or the ONNX flavour.
    digest
        The digest that the registry vouches for; None if nobody does.
    trust
        Load it in any case.
    name
        How errors call the model.

    Raises
    ------
    ModelFilesInvalid
        The folder holds no model.
    FlavorUnsupported
        It is of another flavour than scikit-learn's or ONNX.
    ModelDigestWrong
        The files are not the registered ones.
    ModelNotTrusted
        Nobody vouches for the model.
    LibraryMissing
        The environment lacks what the model was made with.
    """
    card = read_card(folder)
    found = digest_of(folder)
    if digest is not None and digest != found and not trust:
        raise ModelDigestWrong(str(folder), digest, found)
    vouched = trust or digest is not None
    if not vouched and (card.format not in _HARMLESS or card.code):
        raise ModelNotTrusted(str(folder), "no digest of it is registered")
    estimator = restored(folder, card, vouched=vouched)
    given = cast("Sequence[Any] | None", getattr(estimator, "classes_", None)) if card.task != "regression" else None
    classes = tuple(_plain(given)) if given is not None else card.classes
    model = LoadedModel(
        estimator, _completed(card, estimator), found, classes, name or folder.name, read_examples(folder)
    )
    return replace(model, one_call=labels_follow(estimator, _example_rows(model)) and model.task != "regression")


def _example_rows(model: LoadedModel) -> Any:
    """Return the rows of the model's example as its estimator takes them; None if they do not fit it."""
    if not model.examples:
        return None
    try:
        return model.rows(matrix_of(model.examples, model.features, model.card.dtypes))
    except (FeatureMissing, FeatureWrong):
        return None


def read_card(folder: Path) -> ModelCard:
    """Return what the model folder says about its model.

    Raises
    ------
    ModelFilesInvalid
        The folder holds no model.
    FlavorUnsupported
        It is of another flavour than scikit-learn's or ONNX.
    """
    try:
        described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFilesInvalid(str(folder), "the folder holds no model: there is no MLmodel file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelFilesInvalid(str(folder), "the MLmodel file is not YAML") from error
    flavors = described.get("flavors") if isinstance(described, dict) else None
    kind = next((each for each in ("sklearn", "onnx") if isinstance(flavors, dict) and each in flavors), "")
    flavor = flavors[kind] if kind and isinstance(flavors, dict) else None
    if not isinstance(flavor, dict):
        raise FlavorUnsupported(str(folder), sorted(flavors) if isinstance(flavors, dict) else ())
    said = (described.get("metadata") or {}).get("modelyard") or {}
    names, dtypes = _signature(described)
    return ModelCard(
        features=tuple(said.get("features") or names),
        dtypes=tuple(said.get("dtypes") or dtypes),
        input=said.get("input") or ("frame" if names and kind == "sklearn" else "matrix"),
        task=said.get("task") or "",
        classes=tuple(said.get("classes") or ()),
        label=said.get("label") or "",
        file=str(flavor.get("data" if kind == "onnx" else "pickled_model") or _FILES[kind]),
        format="onnx" if kind == "onnx" else str(flavor.get("serialization_format") or "pickle"),
        skops_types=tuple(flavor.get("skops_trusted_types") or ()),
        code=str(flavor.get("code") or ""),
    )


def _signature(described: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and types of a column signature; a tensor signature names nothing."""
    inputs = json.loads((described.get("signature") or {}).get("inputs") or "[]")
    if not all("name" in each for each in inputs):
        return (), ()
    return tuple(each["name"] for each in inputs), tuple(str(each.get("type", "")) for each in inputs)


def _completed(card: ModelCard, estimator: Any) -> ModelCard:
    named = getattr(estimator, "feature_names_in_", None)
    if card.features or named is None:
        return card
    kept = {name: getattr(card, name) for name in ModelCard.__slots__}
    return ModelCard(**{**kept, "features": tuple(_plain(named))})


def _plain(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _frame(matrix: "NDArray[Any]", card: ModelCard) -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise LibraryMissing("pandas", "a model that was fitted on a data frame", "ml") from error
    frame = pd.DataFrame(matrix, columns=list(card.features) or None)
    if matrix.dtype == object:
        return frame.infer_objects()
    return frame
