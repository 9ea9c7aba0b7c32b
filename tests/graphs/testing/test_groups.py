"""Every router and ensemble of the library keeps the contract of blocks; one without a case fails here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, Resources
from modelyard.graphs.ensembles import Mean, Median, SoftVote, Stacking, Vote
from modelyard.graphs.routers import (
    ByField,
    ByPath,
    ByRules,
    ChampionChallenger,
    Enrich,
    EpsilonGreedy,
    Shadow,
    Thompson,
    WeightedSplit,
)
from modelyard.graphs.testing import BlockCase, check_case, library_blocks

LABELS = {"late": "probe_blocks:late", "early": "probe_blocks:early"}
NUMBERS = {"tenth": "probe_blocks:tenth", "half": "probe_blocks:half"}
USERS = [{"user": name} for name in "abcdef"]


def router(strategy: type, **arguments: Any) -> Callable[[Graph], Any]:
    return lambda graph: graph.router(strategy, routes=LABELS, **arguments)


def ensemble(strategy: type, members: Mapping[str, str], **arguments: Any) -> Callable[[Graph], Any]:
    return lambda graph: graph.ensemble(strategy, members=members, **arguments)


class Ages:
    """A feature reader."""

    def read(self, features: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{"age": {"N1": 12.0}.get(key["tail"])} for key in keys]


RULES = [{"field": "x", "op": ">", "value": 5, "route": "late"}]
CASES = {
    ByField: BlockCase(
        add=router(ByField, field="road"),
        bodies=[{"road": "late"}, {"road": "early"}],
        replies=["late", "early"],
        refused=[({"road": "none"}, ErrorKind.NOT_FOUND), ({}, ErrorKind.INVALID)],
    ),
    ByPath: BlockCase(add=router(ByPath, default="early"), bodies=[1], replies=["early"]),
    ByRules: BlockCase(
        add=router(ByRules, rules=RULES, default="early"), bodies=[{"x": 9}, {"x": 1}], replies=["late", "early"]
    ),
    ChampionChallenger: BlockCase(
        add=router(ChampionChallenger, champion="late", challenger="early", share=0.5, key="user"), bodies=USERS
    ),
    Enrich: BlockCase(
        use=Enrich,
        arguments={"features": ["age"], "keys": ["tail"]},
        bodies=[{"tail": "N1"}],
        replies=[{"tail": "N1", "age": 12.0}],
        refused=[({"tail": "N2"}, ErrorKind.INVALID), ({}, ErrorKind.INVALID)],
        resources=Resources(features=Ages()),
    ),
    EpsilonGreedy: BlockCase(add=router(EpsilonGreedy), bodies=USERS, deterministic=False),
    Shadow: BlockCase(add=router(Shadow, champion="late"), bodies=[{}, {}], replies=["late", "late"]),
    Thompson: BlockCase(add=router(Thompson), bodies=USERS, deterministic=False),
    WeightedSplit: BlockCase(add=router(WeightedSplit, weights={"late": 1, "early": 3}, key="user"), bodies=USERS),
    Mean: BlockCase(
        add=ensemble(Mean, NUMBERS, weights={"tenth": 3, "half": 1}),
        bodies=[{"x": 10}, {"x": 20}],
        replies=[2.0, 4.0],
        refused=[({"x": "a"}, ErrorKind.USER_CODE)],
    ),
    Median: BlockCase(add=ensemble(Median, NUMBERS), bodies=[{"x": 10}], replies=[3.0]),
    SoftVote: BlockCase(
        add=ensemble(SoftVote, {"a": "probe_blocks:likely", "b": "probe_blocks:unlikely"}, classes=["early", "late"]),
        bodies=[{}],
        replies=[{"label": "early", "probability": 0.425, "probabilities": [0.575, 0.425]}],
    ),
    Stacking: BlockCase(
        add=ensemble(Stacking, {**NUMBERS, "judge": "probe_blocks:judged"}, final="judge"),
        bodies=[{"x": 10}],
        replies=[6.0],
    ),
    Vote: BlockCase(
        add=ensemble(Vote, {**LABELS, "third": "probe_blocks:late"}), bodies=[{}, {}], replies=["late", "late"]
    ),
}


def test_every_router_and_ensemble_has_a_case() -> None:
    blocks = library_blocks()
    assert {*blocks["routers"], *blocks["ensembles"]} - CASES.keys() == set()


@pytest.mark.parametrize("block", CASES, ids=lambda block: block.__name__)
def test_the_contract(block: type) -> None:
    check_case(CASES[block])
