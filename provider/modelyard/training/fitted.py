"""Checks what a training function returned, before anything is recorded about it."""

import warnings
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from modelyard.data import TrainingSet, to_matrix
from modelyard.graphs import LoadedModel, ModelCard, PredictionFailed
from modelyard.training.errors import EstimatorInvalid
from modelyard.training.outcomes import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.graphs import Predictions

__all__ = ["PyfuncEstimator", "checked_model"]

_TRIED_ROWS = 100
_MOST_WHOLE_CLASSES = 20
"""Whole-number labels with more values than this are numbers to be estimated, unless somebody says otherwise."""


def checked_model(
    function: str, returned: Any, rows: TrainingSet, task: Literal["auto", "classification", "regression"]
) -> LoadedModel:
    """Return what the function returned as a model that has shown on some training rows that it can predict.

    Parameters
    ----------
    function
        What the project calls the function.
    returned
        What it returned.
    rows
        What it was trained on.
    task
        What it is for; ``auto`` asks the estimator, then the labels.

    Raises
    ------
    EstimatorInvalid
        It is no fitted estimator, or predicts something else than one value for each row.
    """
    _check_object(function, returned)
    estimator = PyfuncEstimator(returned) if _is_pyfunc(returned) else returned
    _check_fitted(function, estimator)
    kind = _task_of(function, estimator, rows, task)
    classes = _classes(estimator) if kind == "classification" else ()
    first = "frame" if getattr(estimator, "feature_names_in_", None) is not None or _is_pyfunc(returned) else "matrix"
    failure: PredictionFailed | None = None
    for form in (first, "frame" if first == "matrix" else "matrix"):
        model = _model(estimator, rows, cast("Literal['matrix', 'frame']", form), kind, classes, function)
        try:
            said = model.predict(_some(rows))
        except PredictionFailed as error:
            failure = failure or error
            continue
        _check_predictions(function, said, len(classes), min(len(rows), _TRIED_ROWS))
        return model
    cause = failure.__cause__ if failure else None
    words = " ".join(f"{type(cause).__name__}: {cause}".split())[:200]
    raise EstimatorInvalid(
        function,
        f"its model cannot predict the rows it was trained on ({words})",
        f"Fit it on dataset.matrix() or dataset.frame(), with all {len(rows.feature_columns)} feature columns.",
    ) from failure


def _check_object(function: str, returned: Any) -> None:
    if returned is None:
        raise EstimatorInvalid(function, "it returned nothing", "Return the fitted estimator.")
    if isinstance(returned, type):
        name = returned.__name__
        raise EstimatorInvalid(function, f"it returned the class {name}", f"Return an object: {name}(…).fit(…).")
    if not callable(getattr(returned, "predict", None)):
        name = type(returned).__name__
        raise EstimatorInvalid(
            function, f"it returned an object of type {name}, which has no predict", "Return the fitted estimator."
        )


def _is_pyfunc(returned: Any) -> bool:
    names = [f"{each.__module__}.{each.__qualname__}" for each in type(returned).__mro__]
    return "mlflow.pyfunc.model.PythonModel" in names


class PyfuncEstimator:
    """An `mlflow.pyfunc.PythonModel` that answers like an estimator."""

    def __init__(self, model: Any) -> None:
        self.model = model
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_
        if hasattr(model, "predict_proba"):
            self.predict_proba = model.predict_proba

    def predict(self, rows: Any) -> "NDArray[Any]":
        """Return one label per row."""
        import inspect

        takes_context = next(iter(inspect.signature(self.model.predict).parameters), "") == "context"
        said = self.model.predict(None, rows) if takes_context else self.model.predict(rows)
        return np.asarray(said)


def _check_fitted(function: str, estimator: Any) -> None:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, BaseEstimator):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_is_fitted(estimator)
    except NotFittedError as error:
        name = type(estimator).__name__
        raise EstimatorInvalid(
            function, f"it returned a {name} that is not fitted", "Call its fit before you return it."
        ) from error


def _task_of(function: str, estimator: Any, rows: TrainingSet, asked: str) -> Task:
    from sklearn.base import BaseEstimator, is_classifier, is_regressor

    own: Task | None = None
    if isinstance(estimator, BaseEstimator):
        own = "classification" if is_classifier(estimator) else "regression" if is_regressor(estimator) else None
    elif hasattr(estimator, "classes_") or hasattr(estimator, "predict_proba"):
        own = "classification"
    if asked == "auto":
        return own or _task_of_labels(rows.labels())
    if own is not None and own != asked:
        name = type(estimator).__name__
        raise EstimatorInvalid(
            function, f"it returned {name}, which does {own}, but the task is {asked}", "Change one of the two."
        )
    return cast("Task", asked)


def _task_of_labels(labels: "NDArray[Any]") -> Task:
    if labels.dtype.kind == "f":
        whole = bool(np.all(labels == np.round(labels)))
        return "classification" if whole and len(np.unique(labels)) <= 2 else "regression"
    if labels.dtype.kind in "iu":
        return "classification" if len(np.unique(labels)) <= _MOST_WHOLE_CLASSES else "regression"
    return "classification"


def _classes(estimator: Any) -> tuple[Any, ...]:
    given = getattr(estimator, "classes_", None)
    if given is None:
        return ()
    return tuple(given.tolist() if hasattr(given, "tolist") else given)


def _model(
    estimator: Any,
    rows: TrainingSet,
    form: Literal["matrix", "frame"],
    task: Task,
    classes: tuple[Any, ...],
    function: str,
) -> LoadedModel:
    card = ModelCard(
        features=rows.feature_columns,
        dtypes=rows.dtypes,
        input=form,
        task=task,
        classes=classes,
        label=rows.label_column,
        file="",
        format="",
    )
    return LoadedModel(estimator, card, "", classes, function)


def _some(rows: TrainingSet) -> "NDArray[Any]":
    return to_matrix(rows.head(_TRIED_ROWS).table(), rows.feature_columns, rows.dtypes)


def _check_predictions(function: str, said: "Predictions", classes: int, rows: int) -> None:
    shape = np.shape(said.labels)
    if shape != (rows,):
        raise EstimatorInvalid(
            function,
            f"its model predicts an array of shape {shape} for {rows} rows",
            "Let predict return one value for each row.",
        )
    if said.probabilities is None:
        return
    if not classes:
        raise EstimatorInvalid(
            function, "its model has predict_proba, but no classes_", "Say in classes_ what the columns stand for."
        )
    shape = np.shape(said.probabilities)
    if shape != (rows, classes):
        raise EstimatorInvalid(
            function,
            f"its model gives probabilities of shape {shape} for {rows} rows of {classes} classes",
            "Let predict_proba return rows by classes.",
        )
