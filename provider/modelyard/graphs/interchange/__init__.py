"""What goes in and out of graphs besides events: recorded requests and replies, and graphs of other systems."""

from modelyard.graphs.interchange.exchanges import (
    Exchange,
    ExchangeLog,
    ExchangesInvalid,
    exchange,
    read_exchanges,
    recorded,
)
from modelyard.graphs.interchange.replaying import Replay, ReplayDiffers, ReplayedExchange, replay

__all__ = [
    "Exchange",
    "ExchangeLog",
    "ExchangesInvalid",
    "Replay",
    "ReplayDiffers",
    "ReplayedExchange",
    "exchange",
    "read_exchanges",
    "recorded",
    "replay",
]
