from pathlib import Path

import numpy as np
import pytest

from modelyard.graphs import Predictions
from modelyard.projects.errors import UserFunctionFailed
from modelyard.training.errors import MetricInvalid, MetricNameTaken
from modelyard.training.own_metrics import OwnMetric

HERE = Path(__file__).parent
SAID = Predictions(np.array([0, 1]), np.eye(2))
TRUTH = np.array([0, 1])


def cost(truth: np.ndarray, predictions: Predictions) -> float:
    """Dollars lost per row."""
    return float((truth != predictions.labels).mean() * 7)


cost.greater_is_better = False  # type: ignore[attr-defined]


def test_a_number_is_called_by_the_name_of_the_function() -> None:
    metric = OwnMetric("flights.metrics:cost", cost, HERE)
    assert metric(TRUTH, SAID) == {"cost": 0.0}
    assert metric.facts_of("cost") == ("cost", False, "Dollars lost per row")


def test_a_dict_names_its_numbers() -> None:
    metric = OwnMetric("both", lambda *_: {"a": np.float32(1.5), "b.c": 2}, HERE)
    assert metric(TRUTH, SAID) == {"a": 1.5, "b.c": 2.0}
    assert metric.facts_of("a").greater_is_better is None


@pytest.mark.parametrize("value", ["0.5", None, [1.0], np.array([1.0, 2.0])])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(MetricInvalid, match="wrong: wrong must be a number, got"):
        OwnMetric("wrong", lambda *_: value, HERE)(TRUTH, SAID)


def test_names_are_checked() -> None:
    with pytest.raises(MetricInvalid, match="the name 'a b' must be letters"):
        OwnMetric("m", lambda *_: {"a b": 1.0}, HERE)(TRUTH, SAID)
    with pytest.raises(MetricNameTaken, match="'roc_auc' is taken"):
        OwnMetric("m", lambda *_: {"roc_auc": 1.0}, HERE)(TRUTH, SAID)


def broken(truth: np.ndarray, predictions: Predictions) -> float:
    raise KeyError("fare")


def test_what_a_function_raises_points_at_its_line() -> None:
    line = broken.__code__.co_firstlineno + 1
    with pytest.raises(UserFunctionFailed) as caught:
        OwnMetric("broken", broken, HERE)(TRUTH, SAID)
    assert str(caught.value) == (
        f"test_own_metrics.py:{line}: broken raised KeyError: 'fare'. The log has the traceback."
    )
