import numpy as np
import pytest

from modelyard.training.comparison import compare
from modelyard.training.outcomes import Classified, Regressed


def scored(noise: float, rows: int = 3000, seed: int = 1) -> Classified:
    truth = (np.random.default_rng(0).random(rows) < 0.3).astype(np.intp)
    random = np.random.default_rng(seed)
    score = np.clip(0.5 + (truth - 0.5) * 0.4 + noise * random.normal(size=rows), 0, 1)
    return Classified(truth, (score >= 0.5).astype(np.intp), np.column_stack([1 - score, score]), (False, True))


def test_a_clearly_better_model_is_better() -> None:
    found = compare(scored(0.2), scored(0.5))
    assert found is not None
    assert (found.metric, found.verdict) == ("roc_auc", "better")
    assert found.difference == pytest.approx(found.candidate - found.baseline)
    assert 0 < found.margin < found.difference
    back = compare(scored(0.5), scored(0.2))
    assert back is not None
    assert back.verdict == "worse"


def test_the_same_model_is_even() -> None:
    found = compare(scored(0.3), scored(0.3))
    assert found is not None
    assert (found.difference, found.margin, found.verdict) == (0, 0, "even")


def test_a_difference_within_the_noise_is_even() -> None:
    few = np.arange(80)
    found = compare(scored(0.30).take(few), scored(0.30, seed=2).take(few))
    assert found is not None
    assert found.verdict == "even"


def test_the_margin_agrees_with_repeated_draws() -> None:
    """95 of 100 intervals hold the true difference: checked against the spread over independent datasets."""
    differences = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        truth = random.normal(size=400)
        error = random.normal(size=(2, 400))
        differences.append(np.abs(0.9 * error[0]).mean() - np.abs(error[1]).mean())
    found = compare(Regressed(truth, truth + 0.9 * error[0]), Regressed(truth, truth + error[1]))
    assert found is not None
    assert found.margin == pytest.approx(1.96 * np.std(differences), rel=0.25)


def test_smaller_errors_are_better() -> None:
    truth = np.linspace(0, 1, 500)
    noise = np.random.default_rng(0).normal(size=500)
    found = compare(Regressed(truth, truth + 0.1 * noise), Regressed(truth, truth + noise))
    assert found is not None
    assert (found.metric, found.verdict) == ("mae", "better")
    assert found.difference < 0


def test_a_model_without_probabilities_is_compared_by_its_labels() -> None:
    candidate = scored(0.2)
    found = compare(candidate, Classified(candidate.truth, candidate.truth, None, candidate.classes))
    assert found is not None
    assert (found.metric, found.baseline, found.verdict) == ("balanced_accuracy", 1.0, "worse")


def test_large_data_is_resampled_in_part_and_scaled() -> None:
    margins = []
    for rows in (20_000, 80_000):
        found = compare(scored(0.2, rows), scored(0.3, rows))
        assert found is not None
        margins.append(found.margin)
    assert margins[1] == pytest.approx(margins[0] / 2, rel=0.2)


def test_where_the_metric_is_undefined_there_is_no_comparison() -> None:
    rows = scored(0.3)
    assert compare(rows.take(rows.truth == 1), rows.take(rows.truth == 1)) is None
