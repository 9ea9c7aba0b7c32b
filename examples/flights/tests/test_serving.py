"""The graph's steps around the model, without a model."""

import subprocess
import sys
from typing import Any

import pytest
from flights.columns import FEATURES
from flights.serving import answer, delays, parse

from modelyard.graphs import EventInvalid

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
        ({name: FLIGHT[name] for name in ("carrier", "origin", "destination")}, "departure_minute: is missing"),
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
