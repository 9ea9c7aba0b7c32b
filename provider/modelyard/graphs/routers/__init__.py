"""Routers: each event goes to one of several members."""

from modelyard.graphs.routers.bandits import Arm, EpsilonGreedy, Thompson
from modelyard.graphs.routers.by_field import ByField
from modelyard.graphs.routers.by_path import ByPath
from modelyard.graphs.routers.enrichment import Enrich
from modelyard.graphs.routers.errors import FeaturesUnfit, RewardInvalid
from modelyard.graphs.routers.rules import ByRules, RuleUnfit
from modelyard.graphs.routers.shadow import Shadow
from modelyard.graphs.routers.split import ChampionChallenger, WeightedSplit

__all__ = [
    "Arm",
    "ByField",
    "ByPath",
    "ByRules",
    "ChampionChallenger",
    "Enrich",
    "EpsilonGreedy",
    "FeaturesUnfit",
    "RewardInvalid",
    "RuleUnfit",
    "Shadow",
    "Thompson",
    "WeightedSplit",
]
