import numpy as np
from flights.metrics import caught_in_top_tenth

from modelyard.graphs import Predictions


def test_the_most_feared_tenth_is_searched() -> None:
    truth = np.array([True] * 4 + [False] * 16)
    score = np.linspace(1, 0, 20)
    said = Predictions(score > 0.5, np.column_stack([1 - score, score]))
    assert caught_in_top_tenth(truth, said) == 0.5
    assert np.isnan(caught_in_top_tenth(truth, Predictions(truth)))
