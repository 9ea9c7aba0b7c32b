"""Runs the metric functions that a project brings along."""

import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from modelyard.projects.user_code import calling
from modelyard.training.errors import MetricInvalid, MetricNameTaken
from modelyard.training.metrics import METRICS, MetricFacts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard.graphs import Predictions

__all__ = ["OwnMetric"]

_NAME = re.compile(r"[A-Za-z_][\w.-]*")


class OwnMetric:
    """One metric function of the project: ``(truth, predictions) -> float`` or ``-> dict`` of floats.

    The function gets the labels as they are in the dataset, and a `modelyard.graphs.Predictions`. It may carry the
    attributes ``greater_is_better`` (bool) and ``title`` (text) for the report.

    Parameters
    ----------
    name
        The function's name in modelyard.yaml, or its dotted path; a single number is called by its last part.
    function
        The function.
    source
        Where the project's code lies: errors point at a line in it.
    """

    def __init__(self, name: str, function: Callable[..., Any], source: "Path") -> None:
        self.name = name
        self.short = re.split(r"[.:]", name)[-1].replace("-", "_")
        self._function = function
        self._source = source

    def facts_of(self, name: str) -> MetricFacts:
        """Return title and good direction of one of its metrics, as far as the function says them."""
        meaning = (self._function.__doc__ or "").strip().partition("\n")[0].rstrip(".") or "a metric of the project"
        greater = getattr(self._function, "greater_is_better", None)
        title = str(getattr(self._function, "title", name)) if name == self.short else name
        return MetricFacts(title, greater, meaning)

    def __call__(self, truth: "NDArray[Any]", predictions: "Predictions") -> dict[str, float]:
        """Return the function's metrics by name.

        Raises
        ------
        UserFunctionFailed
            The function raised.
        MetricInvalid
            It returned something else than a number or a dict of numbers.
        MetricNameTaken
            It returned a name that modelyard's own metrics use.
        """
        with calling(self.name, self._source):
            value = self._function(truth, predictions)
        values = value if isinstance(value, Mapping) else {self.short: value}
        return {self._checked_name(name): self._number(name, each) for name, each in values.items()}

    def _checked_name(self, name: Any) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MetricInvalid(self.name, f"the name {name!r} must be letters, digits, '_', '-' and '.'")
        if name in METRICS or name.startswith("champion."):
            raise MetricNameTaken(self.name, name)
        return name

    def _number(self, name: Any, value: Any) -> float:
        plain = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
        if not isinstance(plain, Real):
            raise MetricInvalid(self.name, f"{name} must be a number, got {type(value).__name__}")
        return float(plain)
