import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from modelyard.training.ranking import rank

rows = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=2, max_size=60)


@given(rows)
def test_areas_equal_those_of_scikit_learn_with_ties(rows: list[tuple[bool, float]]) -> None:
    positive = np.array([each for each, _ in rows])
    scores = np.array([each for _, each in rows])
    ranked = rank(positive, scores)
    if positive.all() or not positive.any():
        assert np.isnan(ranked.area_under_roc())
        return
    assert ranked.area_under_roc() == pytest.approx(roc_auc_score(positive, scores))
    assert ranked.average_precision() == pytest.approx(average_precision_score(positive, scores))


def test_no_rows_have_no_area() -> None:
    ranked = rank(np.array([], dtype=bool), np.array([]))
    assert not ranked.defined
    assert np.isnan(ranked.area_under_roc())
    assert np.isnan(ranked.average_precision())


def test_curves_begin_and_end_in_the_corners() -> None:
    ranked = rank(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
    false, true = ranked.roc()
    assert false.tolist() == [0, 0, 0.5, 0.5, 1]
    assert true.tolist() == [0, 0.5, 0.5, 1, 1]
    precision, recall = ranked.precision_recall()
    assert precision.tolist() == [1, 0.5, pytest.approx(2 / 3), 0.5]
    assert recall.tolist() == [0.5, 0.5, 1, 1]
