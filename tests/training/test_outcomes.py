import numpy as np
import pytest

from modelyard.graphs import Predictions
from modelyard.training.errors import LabelsUnlikeModel, PredictionsNotFinite
from modelyard.training.outcomes import Classified, Regressed, outcomes_of


def test_the_threshold_decides_between_two_classes() -> None:
    said = Predictions(np.array(["no", "yes"]), np.array([[0.7, 0.3], [0.4, 0.6]]))
    strict = outcomes_of(np.array(["no", "yes"]), said, task="classification", classes=["no", "yes"], threshold=0.25)
    assert isinstance(strict, Classified)
    assert strict.predicted.tolist() == [1, 1]
    assert strict.positive.tolist() == [0.3, 0.6]


def test_without_probabilities_the_labels_decide() -> None:
    outcomes = outcomes_of(
        np.array([True, False]), Predictions(np.array([1, 1])), task="classification", classes=[0, 1]
    )
    assert isinstance(outcomes, Classified)
    assert outcomes.predicted.tolist() == [1, 1]
    assert outcomes.truth.tolist() == [1, 0]


def test_a_class_that_the_model_never_saw_has_probability_zero() -> None:
    said = Predictions(np.array(["a", "b"]), np.array([[0.7, 0.3], [0.4, 0.6]]))
    outcomes = outcomes_of(np.array(["a", "z"]), said, task="classification", classes=["a", "b"])
    assert isinstance(outcomes, Classified)
    assert outcomes.classes == ("a", "b", "z")
    assert outcomes.probabilities is not None
    assert outcomes.probabilities[:, 2].tolist() == [0, 0]


def test_labels_of_another_kind_are_refused() -> None:
    said = Predictions(np.array([0, 1]), np.eye(2))
    with pytest.raises(LabelsUnlikeModel, match="the labels are no, yes, but the model predicts 0, 1"):
        outcomes_of(np.array(["no", "yes"]), said, task="classification", classes=[0, 1])
    with pytest.raises(LabelsUnlikeModel, match="but the model predicts any number"):
        outcomes_of(np.array(["no", "yes"], dtype=object), Predictions(np.ones(2)), task="regression")


def test_predictions_that_are_no_numbers_are_refused() -> None:
    refused = "for 1 of 2 rows, the first is row 1"
    with pytest.raises(PredictionsNotFinite, match=refused):
        outcomes_of(np.array([0.0, 1.0]), Predictions(np.array([0.0, np.nan])), task="regression")
    said = Predictions(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]]))
    with pytest.raises(PredictionsNotFinite, match=refused):
        outcomes_of(np.array([0, 1]), said, task="classification", classes=[0, 1])


def test_rows_can_be_taken() -> None:
    outcomes = Regressed(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 3.0]))
    assert outcomes.take(np.array([False, True, True])).predicted.tolist() == [2.5, 3.0]
    assert len(outcomes.take(np.array([0]))) == 1
