"""Tells for which classifiers the label follows from the probabilities, so that one call of them gives both."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

__all__ = ["computes_directly", "decides_by_sign", "labels_follow", "thread_settings"]

_PROVEN = frozenset(
    {
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.naive_bayes.BernoulliNB",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.naive_bayes.MultinomialNB",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier",
    }
)
"""Classes whose ``predict`` is the greatest of what ``predict_proba`` increases with.

Equal probabilities may hide unequal scores (rounding), so ties are left to ``predict``. Not here, on purpose:
SVC, whose probabilities are fitted apart from its labels, and nearest neighbours, which decide ties by other code.
"""


_DIRECT = _PROVEN - {
    "sklearn.calibration.CalibratedClassifierCV",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
} | {
    "sklearn.ensemble._forest.ExtraTreesRegressor",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.ensemble._gb.GradientBoostingRegressor",
    "sklearn.linear_model._base.LinearRegression",
    "sklearn.linear_model._coordinate_descent.ElasticNet",
    "sklearn.linear_model._coordinate_descent.Lasso",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.neural_network._multilayer_perceptron.MLPRegressor",
    "sklearn.tree._classes.DecisionTreeRegressor",
}


def computes_directly(estimator: Any) -> bool:
    """Return whether an estimator looks at the matrix that it is given, and at nothing made of it.

    For such a one scikit-learn need not look for infinite values in rows that are known to have none. In a pipeline
    a step may make some (a logarithm), so there it has to; trees by histograms do not look in the first place.

    Parameters
    ----------
    estimator
        The fitted estimator.
    """
    kind = type(estimator)
    return f"{kind.__module__}.{kind.__qualname__}" in _DIRECT


def decides_by_sign(estimator: Any) -> bool:
    """Return whether a classifier's label is the second of two classes where its one score is positive, else the first.

    That is what scikit-learn's linear classifiers do. Of one row the score takes much less time than the label.

    Parameters
    ----------
    estimator
        The fitted estimator.
    """
    predict = getattr(type(estimator), "predict", None)
    place = (getattr(predict, "__module__", ""), getattr(predict, "__qualname__", ""))
    return place == ("sklearn.linear_model._base", "LinearClassifierMixin.predict") and len(estimator.classes_) == 2


def thread_settings() -> Callable[[], dict[str, Any]] | None:
    """Return what returns scikit-learn's settings of the running thread; None where this version keeps them elsewhere.

    ``sklearn.config_context`` does the same and costs as much as the check that it leaves out of one row.
    """
    from sklearn import get_config

    found = getattr(import_module("sklearn._config"), "_get_threadlocal_config", None)
    if found is None:
        return None
    settings = found()
    before = settings.get("assume_finite")
    settings["assume_finite"] = True
    works = get_config().get("assume_finite") is True
    settings["assume_finite"] = before
    return found if works and before is not None else None


def labels_follow(estimator: Any, rows: Any) -> bool:
    """Return whether a classifier's label is the class of the one greatest probability, for any row.

    It has to be one of the known classes, or a pipeline or search that ends in one, and to agree on the example.

    Parameters
    ----------
    estimator
        The fitted estimator.
    rows
        Example rows as the estimator takes them; None if there are none.
    """
    if hasattr(estimator, "predict_both"):
        return True
    if not hasattr(estimator, "predict_proba") or not _proven(estimator):
        return False
    classes: Any = getattr(estimator, "classes_", None)
    if not hasattr(classes, "take") or len(classes) < 2:
        return False
    if rows is None:
        return True
    probabilities = estimator.predict_proba(rows)
    told = estimator.predict(rows)
    pairs = zip(probabilities, told, strict=True)
    return all(_is_tied(row) or bool(classes[row.argmax()] == label) for row, label in pairs)


def _proven(estimator: Any) -> bool:
    kind = type(estimator)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name == "sklearn.pipeline.Pipeline":
        return _proven(estimator.steps[-1][1])
    if name in ("sklearn.model_selection._search.GridSearchCV", "sklearn.model_selection._search.RandomizedSearchCV"):
        return _proven(getattr(estimator, "best_estimator_", None))
    return name in _PROVEN


def _is_tied(row: Sequence[Any]) -> bool:
    greatest = max(row)
    return sum(bool(each == greatest) for each in row) > 1
