"""Tells how much each feature of a row moved a tabular model's answer: Shapley values, computed by shap."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.models.errors import ExplanationUnavailable
from modelyard.graphs.models.files import LoadedModel
from modelyard.graphs.models.rows import matrix_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Explainer", "Explanation"]

_TREES = ("_forest", "_gb", "gradient_boosting", "_classes")
_LINEAR = "sklearn.linear_model."


class Explanation(NamedTuple):
    """Why a model says what it says about one row; base and contributions add up to the explained value.

    Parameters
    ----------
    value
        What is explained: of a classification the second class where there are two, the likeliest otherwise.
    unit
        ``probability``, ``log-odds`` or ``value`` (of a regression).
    base
        What the model says on average over the background rows.
    contributions
        Feature → how much it moved the answer, in that unit.
    """

    value: Any
    unit: str
    base: float
    contributions: dict[str, float]


class Explainer:
    """Explains the rows of one model.

    Trees are explained exactly along their paths, linear models exactly against the background, any other model of
    numbers by permuting its features against the background.

    Parameters
    ----------
    model
        The loaded model.
    background
        Rows that stand for the ordinary; by default the example that came with the model.

    Raises
    ------
    LibraryMissing
        shap is not installed.
    ExplanationUnavailable
        The model needs background rows and there are none, or it has features that are no numbers.
    """

    def __init__(self, model: LoadedModel, background: Sequence[Any] = ()) -> None:
        shap = _library()
        self.model = model
        self._names = model.features
        self._rows = list(background or model.examples)
        self.unit = "probability" if model.classes else "value"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = self._for_trees(shap) or self._for_lines(shap)
            if known is None:
                matrix = _background(model, self._rows)
                known = shap.PermutationExplainer(self._asked, shap.maskers.Independent(matrix), seed=0)
            elif model.classes:
                self.unit = "probability" if _is_forest(model.estimator) else "log-odds"
        self._explainer = known
        self._call = self._by_shap_values if hasattr(known, "expected_value") else self._by_permutation

    def _for_trees(self, shap: Any) -> Any:
        kind = type(self.model.estimator)
        if not kind.__module__.startswith("sklearn.") or kind.__module__.rpartition(".")[2] not in _TREES:
            return None
        try:
            return shap.TreeExplainer(self.model.estimator)
        except Exception:  # noqa: BLE001 (it has many ways to say that it does not know these trees)
            return None

    def _for_lines(self, shap: Any) -> Any:
        kind = type(self.model.estimator)
        if not kind.__module__.startswith(_LINEAR) or not hasattr(self.model.estimator, "coef_"):
            return None
        if len(self.model.classes) > 2:
            return None
        return shap.LinearExplainer(self.model.estimator, _background(self.model, self._rows))

    def explain(self, matrix: "NDArray[Any]") -> list[Explanation]:
        """Return why the model says what it says about each row.

        Parameters
        ----------
        matrix
            Rows by features.
        """
        classes = self._classes_of(matrix)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, bases = self._call(matrix)
        names = self._names or [str(index) for index in range(matrix.shape[1])]
        found = []
        for row, position in enumerate(classes):
            column = min(position, values.shape[2] - 1)  # of two classes some explainers tell the second alone
            told = values[row, :, column].tolist()
            value = self.model.classes[position] if self.model.classes else None
            base = float(bases[row, min(column, bases.shape[1] - 1)])
            found.append(Explanation(value, self.unit, base, dict(zip(names, told, strict=True))))
        return found

    def _classes_of(self, matrix: "NDArray[Any]") -> list[int]:
        if not self.model.classes:
            return [0] * len(matrix)
        if len(self.model.classes) == 2:
            return [1] * len(matrix)
        probabilities = self.model.predict(matrix).probabilities
        if probabilities is None:
            raise ExplanationUnavailable(self.model.name, "it has more than two classes and no probabilities")
        return [int(each) for each in probabilities.argmax(axis=1)]

    def _asked(self, matrix: Any) -> Any:
        import numpy as np

        said = self.model.predict(matrix)
        if self.model.classes and said.probabilities is not None:
            return said.probabilities
        if self.model.classes:
            return (said.labels[:, None] == np.array(self.model.classes)).astype(float)
        return said.labels

    def _by_shap_values(self, matrix: Any) -> tuple[Any, Any]:
        import numpy as np

        values = np.asarray(self._explainer.shap_values(matrix, **_without_check(self._explainer)))
        values = values if values.ndim == 3 else values[:, :, None]
        bases = np.atleast_1d(np.asarray(self._explainer.expected_value, dtype=float))[-values.shape[2] :]
        return values, np.tile(bases, (len(matrix), 1))

    def _by_permutation(self, matrix: Any) -> tuple[Any, Any]:
        import numpy as np

        said = self._explainer(matrix, silent=True)
        values = said.values if said.values.ndim == 3 else said.values[:, :, None]
        bases = np.asarray(said.base_values, dtype=float)
        return values, bases if bases.ndim == 2 else np.reshape(bases, (len(matrix), -1))


def _is_forest(estimator: Any) -> bool:
    return type(estimator).__module__.rpartition(".")[2] in ("_forest", "_classes")


def _without_check(explainer: Any) -> dict[str, Any]:
    return {"check_additivity": False} if type(explainer).__name__.startswith("Tree") else {}


def _background(model: LoadedModel, rows: Sequence[Any]) -> "NDArray[Any]":
    if not rows:
        rule = "it came without example rows to compare with: say background=[row, …]"
        raise ExplanationUnavailable(model.name, rule)
    matrix = matrix_of(rows, model.features, model.card.dtypes)
    if matrix.dtype == object:
        raise ExplanationUnavailable(model.name, "it has features that are no numbers")
    return matrix


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its plots use what matplotlib is about to remove
            import shap
    except ModuleNotFoundError as error:
        raise LibraryMissing(error.name or "shap", 'the operation "explain"', "explain") from error
    return shap
