"""The graph around the model: its steps without one, and the endpoint with a rule in the model's place."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from flights.columns import FEATURES
from flights.serving import EXAMPLE, NEEDED, answer, delays, parse

from modelyard.graphs import EventInvalid, LoadedModel, ModelCard, Resources, Response, StepFailed
from modelyard.serving.local import LocalServer

FLIGHT = {
    "carrier": "EV",
    "origin": "EWR",
    "destination": "ORD",
    "departure": "2013-08-01T17:30",
    "arrival": "2013-08-01T18:55",
    "distance": 719,
}


def test_a_flight_becomes_a_row_of_the_model() -> None:
    row = parse(FLIGHT)
    assert tuple(row) == FEATURES
    assert (row["weekday"], row["departure_minute"], row["arrival_minute"]) == (3, 17 * 60 + 30, 18 * 60 + 55)
    assert row["visibility"] is None
    assert parse({**FLIGHT, "departure_minute": 5})["departure_minute"] == 5


def test_several_flights_become_several_rows() -> None:
    assert [row["carrier"] for row in parse([FLIGHT, {**FLIGHT, "carrier": "UA"}])] == ["EV", "UA"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("EV", "a flight is an object, not 'EV'"),
        ({**FLIGHT, "origin": None}, "origin: is missing"),
        ({name: FLIGHT[name] for name in ("carrier", "origin", "destination")}, "departure: is missing"),
        ([FLIGHT, {**FLIGHT, "carrier": None}], "1.carrier: is missing"),
        ([FLIGHT, "EV"], "1: a flight is an object, not 'EV'"),
        ({**FLIGHT, "departure": "soon"}, "departure: must be a local time such as 2013-08-01T17:30, got 'soon'"),
    ],
)
def test_what_is_no_flight_is_refused(body: Any, said: str) -> None:
    with pytest.raises(EventInvalid) as caught:
        parse(body)
    assert str(caught.value).startswith(said)


def test_the_answer_is_in_words_of_the_traveller() -> None:
    assert answer({"label": False, "probability": 0.31241}) == {"late": False, "probability": 0.3124}
    assert answer([{"label": True, "probability": 0.5}]) == [{"late": True, "probability": 0.5}]


def test_the_graph_needs_neither_pandas_nor_mlflow() -> None:
    code = (
        "import sys, flights.serving; print([name for name in ('pandas', 'mlflow', 'sklearn') if name in sys.modules])"
    )
    path = next(each for each in sys.path if (each.endswith("examples/flights")))
    done = subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert delays.steps == ("parse", "model", "answer")


class EveningIsLate:
    """A model by a rule: late after 18 o'clock; it fails for flights to ZZZ, as a defect would."""

    def predict_proba(self, matrix: Any) -> Any:
        if "ZZZ" in matrix[:, FEATURES.index("destination")]:
            raise RuntimeError("no such tree")
        late = np.array([float(row[FEATURES.index("departure_minute")] >= 18 * 60) for row in matrix])
        return np.column_stack([1 - late, late])

    def predict(self, matrix: Any) -> Any:
        return self.predict_proba(matrix)[:, 1] >= 0.5


class Rules:
    """Finds the rule, whatever is asked for."""

    def load(self, reference: str) -> LoadedModel:
        types = tuple("str" if name in ("carrier", "origin", "destination") else "float64" for name in FEATURES)
        card = ModelCard(FEATURES, types, "matrix", "classification", (False, True), "late", "", "")
        return LoadedModel(EveningIsLate(), card, digest="", name=reference)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with LocalServer(delays.open(Resources(models=Rules()))) as server:
        yield server.url


def asked(url: str, body: Any) -> tuple[int, Any]:
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def test_the_endpoint_answers_a_flight_and_a_list_of_them(url: str) -> None:
    evening = {**FLIGHT, "departure": "2013-08-01T18:30"}
    assert asked(url, FLIGHT) == (200, {"late": False, "probability": 0.0})
    assert asked(url, [FLIGHT, evening]) == (
        200,
        [{"late": False, "probability": 0.0}, {"late": True, "probability": 1.0}],
    )
    assert asked(url, EXAMPLE) == (200, {"late": False, "probability": 0.0})


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        (
            {**FLIGHT, "departure": "soon"},
            "departure: must be a local time such as 2013-08-01T17:30, got 'soon'.",
            "departure",
        ),
        ([FLIGHT, {"carrier": "EV"}], "1.origin: is missing. See the example.", "1.origin"),
        ({**FLIGHT, "distance": "far"}, "row 0: the feature 'distance' must be a number, got 'far'.", ""),
        (None, "a flight is an object, not None. Send carrier, origin, destination, …", ""),
    ],
)
def test_the_endpoint_tells_what_is_wrong_with_a_flight(url: str, body: Any, message: str, field: str) -> None:
    told = {"error": {"message": message, "field": field}, "needed": list(NEEDED), "example": EXAMPLE}
    assert asked(url, body) == (422, told)


def test_other_errors_are_not_taken_for_bad_flights(url: str) -> None:
    status, told = asked(url, {**FLIGHT, "destination": "ZZZ"})
    assert status == 500
    assert (told["error"]["type"], told["error"]["step"]) == ("PredictionFailed", "model")
    assert told["error"]["message"].endswith("the model raised RuntimeError: no such tree")
    assert "example" not in told


def test_the_handler_answers_in_process_too() -> None:
    resources = Resources(models=Rules())
    refused = delays.test({}, resources=resources)
    assert isinstance(refused, Response)
    assert (refused.status, refused.body["error"]["message"]) == (422, "carrier: is missing. See the example.")
    with pytest.raises(StepFailed, match=r"step model, event .*: the model raised RuntimeError: no such tree"):
        delays.test({**FLIGHT, "destination": "ZZZ"}, resources=resources)
