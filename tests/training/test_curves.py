import numpy as np
import pytest

from modelyard.training.curves import calibration, precision_recall_curve, residual_bins, roc_curve
from modelyard.training.outcomes import Classified, Regressed


def rows(count: int = 5000) -> Classified:
    random = np.random.default_rng(0)
    probability = random.random(count)
    truth = (random.random(count) < probability).astype(np.intp)
    return Classified(
        truth, (probability > 0.5).astype(np.intp), np.column_stack([1 - probability, probability]), (0, 1)
    )


def test_curves_are_thinned_and_keep_their_area() -> None:
    curve = roc_curve(rows())
    assert curve is not None
    assert len(curve.x) <= 201
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    area = float(np.sum(np.diff(curve.x) * (curve.y[1:] + curve.y[:-1]) / 2))
    assert area == pytest.approx(5 / 6, abs=0.01)
    precision = precision_recall_curve(rows())
    assert precision is not None
    assert precision.x[-1] == 1


def test_one_class_has_no_curve() -> None:
    only = rows().take(rows().truth == 1)
    assert roc_curve(only) is None
    assert precision_recall_curve(only) is None
    assert roc_curve(Classified(np.array([0, 1]), np.array([0, 1]), None, (0, 1))) is None


def test_honest_probabilities_are_calibrated() -> None:
    found = calibration(rows(20_000))
    assert found is not None
    assert found.predicted == pytest.approx(found.observed, abs=0.04)
    assert found.counts.sum() == 20_000
    assert found.positives.sum() == rows(20_000).truth.sum()


def test_few_rows_make_few_bins() -> None:
    found = calibration(rows(3))
    assert found is not None
    assert len(found.predicted) == 3
    assert calibration(rows(0)) is None


def test_the_tails_of_the_errors_are_in_the_outer_bars() -> None:
    error = np.concatenate([np.linspace(-1, 1, 998), [50, -50]])
    edges, counts = residual_bins(Regressed(np.zeros(1000), error), bars=10)
    assert counts.sum() == 1000
    assert edges[-1] == pytest.approx(0.993, abs=0.01)
    assert residual_bins(Regressed(np.zeros(5), np.zeros(5)))[1].sum() == 5
