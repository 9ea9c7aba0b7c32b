"""Answers requests: what is known about a flight goes in, how likely it is late comes out.

Needs no pandas and no MLflow: the server's environment stays small.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flights.columns import FEATURES
from modelyard.graphs import Graph

MODEL = "models:/flights-delay@champion"
LIKELY = 0.5


def parse(body: Any) -> Any:
    """Return the model's row of one flight, or the rows of a list of flights.

    A flight names its carrier, origin and destination, its scheduled local times (``departure`` and ``arrival``, ISO
    8601), and whatever else of `FEATURES` is known; what is not known is left to the model.
    """
    if isinstance(body, list):
        return [_row(flight) for flight in body]
    return _row(body)


def answer(answers: Any) -> Any:
    """Return what people asked for: whether the flight will be late, and how likely."""
    if isinstance(answers, list):
        return [answer(each) for each in answers]
    probability = float(answers["probability"])
    return {"late": probability >= LIKELY, "probability": round(probability, 4)}


def _row(flight: Any) -> dict[str, Any]:
    if not isinstance(flight, Mapping):
        raise TypeError(f"a flight is an object with carrier, origin, destination and times, not {flight!r:.60}")
    known = dict(flight)
    if "departure" in known:
        departure = datetime.fromisoformat(str(known["departure"]))
        known.setdefault("weekday", departure.weekday())
        known.setdefault("departure_minute", departure.hour * 60 + departure.minute)
    if "arrival" in known:
        arrival = datetime.fromisoformat(str(known["arrival"]))
        known.setdefault("arrival_minute", arrival.hour * 60 + arrival.minute)
    missing = [name for name in ("carrier", "origin", "destination", "departure_minute") if known.get(name) is None]
    if missing:
        raise ValueError(f"the flight lacks {', '.join(missing)}")
    return {name: known.get(name) for name in FEATURES}


delays = Graph("delays")
delays.to(parse, name="parse").model("model", MODEL).to(answer, name="answer").respond()
