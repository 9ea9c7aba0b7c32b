"""The trial of a challenger: who is asked, and what the two say together."""

from typing import Any

import numpy as np
import pytest
from flights.columns import FEATURES, TEXT
from flights.serving import EXAMPLE, MODEL, NEEDED
from flights.trial import CANDIDATE, SHARE, trial

from modelyard.graphs import Graph, LoadedModel, ModelCard, Resources, Response

PROBABILITY = {MODEL: 0.2, CANDIDATE: 0.9}
AIRPORTS = ["ATL", "BOS", "CLT", "DCA", "DEN", "DFW", "FLL", "IAH", "LAX", "MCO", "MIA", "ORD", "SFO", "TPA"]


class Constant:
    """Says the same of every flight, and keeps the rows that it was asked about."""

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self.rows: list[dict[str, Any]] = []

    def predict_proba(self, matrix: Any) -> Any:
        self.rows += [dict(zip(FEATURES, row, strict=True)) for row in matrix]
        return np.tile([1 - self.probability, self.probability], (len(matrix), 1))

    def predict(self, matrix: Any) -> Any:
        return self.predict_proba(matrix)[:, 1] >= 0.5


class Constants:
    def __init__(self) -> None:
        self.models = {name: Constant(each) for name, each in PROBABILITY.items()}

    def load(self, reference: str) -> LoadedModel:
        types = tuple("str" if name in TEXT else "float64" for name in FEATURES)
        card = ModelCard(FEATURES, types, "matrix", "classification", (False, True), "late", "", "")
        return LoadedModel(self.models[reference], card, digest="", classes=(False, True), name=reference)


@pytest.fixture
def constants() -> Constants:
    return Constants()


def test_the_champion_or_both_answer_and_a_destination_keeps_its_way(constants: Constants) -> None:
    resources = Resources(models=constants)
    found = {to: trial.test({**EXAMPLE, "destination": to}, resources=resources) for to in AIRPORTS}
    alone = {"late": False, "probability": 0.2, "by": "champion"}
    together = {"late": True, "probability": 0.55, "by": "challenger"}
    assert {str(each) for each in found.values()} == {str(alone), str(together)}
    assert found == {to: trial.test({**EXAMPLE, "destination": to}, resources=resources) for to in AIRPORTS}


def test_the_share_is_that_of_the_trial(constants: Constants) -> None:
    rows = trial.map(
        [{**EXAMPLE, "destination": f"{number:03}"} for number in range(2000)], resources=Resources(models=constants)
    )
    share = [each["by"] for each in rows].count("challenger") / 2000
    assert abs(share - SHARE) < 0.03


def test_what_nobody_knows_is_typical(constants: Constants) -> None:
    trial.test({**EXAMPLE, "visibility": 2.5}, resources=Resources(models=constants))
    row = constants.models[MODEL].rows[-1]
    assert (row["seats"], row["visibility"], row["precipitation"]) == (149, 2.5, 0.0)
    assert row["temperature"] is None or np.isnan(row["temperature"])


def test_a_flight_that_breaks_rules_is_told_all_of_them(constants: Constants) -> None:
    reply = trial.test({**EXAMPLE, "origin": "BER", "distance": -5}, resources=Resources(models=constants))
    assert isinstance(reply, Response)
    assert reply.status == 422
    message = reply.body["error"]["message"]
    assert message.startswith(
        "the body breaks 2 rules: origin must be one of EWR, JFK, LGA, got 'BER'; distance must be above 0"
    )
    assert reply.body["needed"] == NEEDED
    assert not any(model.rows for model in constants.models.values())


def test_the_trial_can_be_deployed(constants: Constants) -> None:
    again = Graph.from_spec(trial.to_spec())
    assert again.to_spec() == trial.to_spec()
    assert list(again.models.values()) == [MODEL, MODEL, CANDIDATE]
    resources = Resources(models=constants)
    assert again.test(EXAMPLE, resources=resources) == trial.test(EXAMPLE, resources=resources)
