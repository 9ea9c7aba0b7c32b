"""What goes in and out of graphs besides events: recorded requests and replies, and graphs of other systems."""

from modelyard.graphs.interchange.exchanges import (
    Exchange,
    ExchangeLog,
    ExchangesInvalid,
    exchange,
    read_exchanges,
    recorded,
)
from modelyard.graphs.interchange.findings import Finding, ImportRefused
from modelyard.graphs.interchange.mlrun_code import MlrunHandler, MlrunModel, MlrunStep, MlrunVote
from modelyard.graphs.interchange.mlrun_import import graph_from_mlrun
from modelyard.graphs.interchange.replaying import Replay, ReplayDiffers, ReplayedExchange, replay

__all__ = [
    "Exchange",
    "ExchangeLog",
    "ExchangesInvalid",
    "Finding",
    "ImportRefused",
    "MlrunHandler",
    "MlrunModel",
    "MlrunStep",
    "MlrunVote",
    "Replay",
    "ReplayDiffers",
    "ReplayedExchange",
    "exchange",
    "graph_from_mlrun",
    "read_exchanges",
    "recorded",
    "replay",
]
