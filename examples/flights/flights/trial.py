"""Tries a challenger on a part of the flights: the mean opinion of two models against the champion alone.

One flight at a time, with the same answer as `flights.serving` and one field more: which of the two gave it. All
flights to one destination go the same way, so that asking twice gives the same answer.
"""

from typing import Any

from flights.serving import MODEL, answer, explain, parse
from modelyard.graphs import Event, Graph
from modelyard.graphs.ensembles import SoftVote
from modelyard.graphs.routers import ChampionChallenger
from modelyard.graphs.steps import Fields, Validate

CANDIDATE = "models:/flights-delay@challenger"
SHARE = 0.2
MINUTE = {"type": "integer", "min": 0, "max": 24 * 60 - 1}
RULES = {
    "origin": {"one_of": ["EWR", "JFK", "LGA"]},
    "departure_minute": MINUTE,
    "arrival_minute": {**MINUTE, "required": False, "null": True},
    "distance": {"type": "number", "above": 0, "required": False, "null": True},
}
TYPICAL = {"seats": 149, "visibility": 10.0, "precipitation": 0.0}
"""What is taken where nobody knows: the commonest aircraft, and fair weather."""


def told(event: Event) -> Any:
    """Return the answer, and who gave it: champion or challenger."""
    return {**answer(event.body), "by": event.metadata["trial"]["role"]}


both = Graph("both")
both.ensemble(SoftVote, name="vote", members={"champion": MODEL, "challenger": CANDIDATE}, classes=[False, True])

trial = Graph("trial")
trial.to(parse, name="parse").to(Validate, name="validate", rules=RULES).to(
    Fields, name="features", impute=TYPICAL
).router(
    ChampionChallenger,
    name="trial",
    routes={"model": MODEL, "vote": both},
    champion="model",
    challenger="vote",
    share=SHARE,
    key="destination",
).to(told, name="answer", full_event=True).respond()
trial.on_error(explain)
