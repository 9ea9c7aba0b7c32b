import numpy as np
import pytest
from sklearn import metrics as peer

from modelyard.graphs import Predictions
from modelyard.training.metrics import METRICS, confusion, facts_of, main_metric, metrics_of
from modelyard.training.outcomes import Classified, Regressed, outcomes_of


def two_classes(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(rows) < 0.3
    return truth, np.clip(truth * 0.3 + random.random(rows) * 0.7, 0, 1).round(2)


def test_two_classes_agree_with_scikit_learn() -> None:
    truth, score = two_classes()
    said = Predictions(score >= 0.5, np.column_stack([1 - score, score]))
    found = metrics_of(outcomes_of(truth, said, task="classification", classes=[False, True]))
    label = score >= 0.5
    assert found == pytest.approx(
        {
            "roc_auc": peer.roc_auc_score(truth, score),
            "average_precision": peer.average_precision_score(truth, score),
            "accuracy": peer.accuracy_score(truth, label),
            "balanced_accuracy": peer.balanced_accuracy_score(truth, label),
            "precision": peer.precision_score(truth, label),
            "recall": peer.recall_score(truth, label),
            "f1": peer.f1_score(truth, label),
            "log_loss": peer.log_loss(truth, score),
            "brier": peer.brier_score_loss(truth, score),
        }
    )


def test_more_classes_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth = random.choice(["a", "b", "c"], 300)
    probabilities = random.dirichlet([1, 1, 1], 300)
    labels = np.array(["a", "b", "c"])[probabilities.argmax(axis=1)]
    found = metrics_of(
        outcomes_of(truth, Predictions(labels, probabilities), task="classification", classes=["a", "b", "c"])
    )
    assert found["roc_auc"] == pytest.approx(peer.roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert found["precision"] == pytest.approx(peer.precision_score(truth, labels, average="macro"))
    assert found["recall"] == pytest.approx(peer.recall_score(truth, labels, average="macro"))
    assert found["f1"] == pytest.approx(peer.f1_score(truth, labels, average="macro"))
    assert found["log_loss"] == pytest.approx(peer.log_loss(truth, probabilities))
    onehot = truth[:, None] == np.array(["a", "b", "c"])
    assert found["brier"] == pytest.approx(np.square(probabilities - onehot).sum(axis=1).mean())
    assert found["average_precision"] == pytest.approx(peer.average_precision_score(onehot, probabilities))


def test_regression_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=200)
    predicted = truth + random.normal(size=200)
    assert metrics_of(Regressed(truth, predicted)) == pytest.approx(
        {
            "mae": peer.mean_absolute_error(truth, predicted),
            "rmse": peer.root_mean_squared_error(truth, predicted),
            "median_ae": peer.median_absolute_error(truth, predicted),
            "mape": peer.mean_absolute_percentage_error(truth, predicted),
            "r2": peer.r2_score(truth, predicted),
        }
    )


def test_what_is_not_defined_is_left_out() -> None:
    said = Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    found = metrics_of(outcomes_of(np.array([1, 1]), said, task="classification", classes=[0, 1]))
    assert "roc_auc" not in found
    assert found["accuracy"] == 0.5
    constant = metrics_of(Regressed(np.zeros(3), np.ones(3)))
    assert set(constant) == {"mae", "rmse", "median_ae"}
    assert metrics_of(Regressed(np.zeros(0), np.zeros(0))) == {}


def test_nothing_found_is_no_precision() -> None:
    found = metrics_of(Classified(np.array([1, 0]), np.array([0, 0]), None, (0, 1)))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)
    assert "roc_auc" not in found


def test_a_sure_and_wrong_probability_is_finite() -> None:
    said = Predictions(np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    found = metrics_of(outcomes_of(np.array([1, 0]), said, task="classification", classes=[0, 1]))
    assert found["log_loss"] == pytest.approx(36.04, abs=0.01)
    assert found["brier"] == 1.0


def test_confusion_has_the_truth_in_rows() -> None:
    outcomes = Classified(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), None, ("a", "b", "c"))
    assert confusion(outcomes).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_the_main_metric_follows_the_task() -> None:
    truth = np.array([0, 1])
    assert main_metric(Classified(truth, truth, np.eye(2), (0, 1))) == "roc_auc"
    assert main_metric(Classified(truth, truth, None, (0, 1))) == "balanced_accuracy"
    assert main_metric(Regressed(truth * 1.0, truth * 1.0)) == "mae"


def test_every_metric_has_a_direction_and_an_own_one_has_none() -> None:
    assert all(facts.greater_is_better is not None for facts in METRICS.values())
    assert facts_of("cost").greater_is_better is None
