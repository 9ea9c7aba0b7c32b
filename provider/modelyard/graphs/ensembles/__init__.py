"""Ensembles: several members' answers become one."""

from modelyard.graphs.ensembles.errors import VoteTied, WeightMissing
from modelyard.graphs.ensembles.mean import Mean, Median
from modelyard.graphs.ensembles.soft_vote import SoftVote
from modelyard.graphs.ensembles.stacking import Stacking
from modelyard.graphs.ensembles.vote import Vote

__all__ = ["Mean", "Median", "SoftVote", "Stacking", "Vote", "VoteTied", "WeightMissing"]
