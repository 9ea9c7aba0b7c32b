"""Answers requests: what is known about a flight goes in, how likely it is late comes out.

Needs no pandas and no MLflow: the server's environment stays small.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flights.columns import FEATURES
from modelyard.graphs import EventInvalid, Graph

MODEL = "models:/flights-delay@champion"
LIKELY = 0.5
NEEDED = ("carrier", "origin", "destination", "departure_minute")


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
        raise EventInvalid(f"a flight is an object, not {flight!r:.60}", mend="Send carrier, origin, destination, …")
    known = {**_clock(flight, "departure"), **_clock(flight, "arrival"), **flight}
    for name in NEEDED:
        if known.get(name) is None:
            raise EventInvalid("is missing", field=name, mend=f"A flight has {', '.join(NEEDED)}.")
    return {name: known.get(name) for name in FEATURES}


def _clock(flight: Mapping[str, Any], name: str) -> dict[str, int]:
    """Return what a local time such as 2013-08-01T17:30 says to the model."""
    if name not in flight:
        return {}
    try:
        time = datetime.fromisoformat(str(flight[name]))
    except ValueError as error:
        raise EventInvalid(
            f"must be a local time such as 2013-08-01T17:30, got {flight[name]!r}", field=name
        ) from error
    minute = {f"{name}_minute": time.hour * 60 + time.minute}
    return {**minute, "weekday": time.weekday()} if name == "departure" else minute


delays = Graph("delays")
delays.to(parse, name="parse").model("model", MODEL).to(answer, name="answer").respond()
