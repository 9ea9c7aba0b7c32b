"""Answers requests: what is known about a flight goes in, how likely it is late comes out.

Needs no pandas and no MLflow: the server's environment stays small.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flights.columns import FEATURES
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import Context, Event, EventInvalid, Graph, Response

MODEL = "models:/flights-delay@champion"
LIKELY = 0.5
NEEDED = ("carrier", "origin", "destination", "departure")
EXAMPLE = {"carrier": "EV", "origin": "EWR", "destination": "ORD", "departure": "2013-08-01T17:30", "distance": 719}


def parse(body: Any) -> Any:
    """Return the model's row of one flight, or the rows of a list of flights.

    A flight names its carrier, origin and destination, its scheduled local times (``departure`` and ``arrival``, ISO
    8601), and whatever else of `FEATURES` is known; what is not known is left to the model.
    """
    if isinstance(body, list):
        return [_row(flight, f"{number}.") for number, flight in enumerate(body)]
    return _row(body, "")


def answer(answers: Any) -> Any:
    """Return what people asked for: whether the flight will be late, and how likely."""
    if isinstance(answers, list):
        return [answer(each) for each in answers]
    probability = float(answers["probability"])
    return {"late": probability >= LIKELY, "probability": round(probability, 4)}


def explain(event: Event, context: Context) -> Response:
    """Tell a client who sent what is no flight what to send instead; other errors are not this handler's.

    The reply has status 422; ``field`` is the place in the request, in a list of flights with the number of the flight.
    """
    error = event.error
    assert error is not None
    if not isinstance(error, ModelyardError) or error.error_kind is not ErrorKind.INVALID:
        raise error
    told = {"message": str(error), "field": error.facts.get("field", error.facts.get("feature", ""))}
    return context.response({"error": told, "needed": NEEDED, "example": EXAMPLE}, status=422)


def _row(flight: Any, place: str) -> dict[str, Any]:
    """Return the model's row of one flight; `place` is where it stands in the request: empty, or ``3.``."""
    if not isinstance(flight, Mapping):
        mend = "Send carrier, origin, destination, …"
        raise EventInvalid(f"a flight is an object, not {flight!r:.60}", field=place.rstrip("."), mend=mend)
    known = {**_clock(flight, "departure", place), **_clock(flight, "arrival", place), **flight}
    for name in NEEDED:
        if known.get("departure_minute" if name == "departure" else name) is None:
            raise EventInvalid("is missing", field=f"{place}{name}", mend="See the example.")
    return {name: known.get(name) for name in FEATURES}


def _clock(flight: Mapping[str, Any], name: str, place: str) -> dict[str, int]:
    """Return what a local time such as 2013-08-01T17:30 says to the model."""
    if name not in flight:
        return {}
    try:
        time = datetime.fromisoformat(str(flight[name]))
    except ValueError as error:
        raise EventInvalid(
            f"must be a local time such as 2013-08-01T17:30, got {flight[name]!r:.60}", field=f"{place}{name}"
        ) from error
    minute = {f"{name}_minute": time.hour * 60 + time.minute}
    return {**minute, "weekday": time.weekday()} if name == "departure" else minute


delays = Graph("delays")
delays.to(parse, name="parse").model("model", MODEL).to(answer, name="answer").respond()
delays.on_error(explain)
