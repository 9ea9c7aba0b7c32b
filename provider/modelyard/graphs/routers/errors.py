"""What goes wrong in routers that learn, and before routers."""

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["FeaturesUnfit", "RewardInvalid"]


class RewardInvalid(ModelyardError):
    """Raised when a reward cannot be taken down."""

    kind = ErrorKind.INVALID

    def __init__(self, rule: str) -> None:
        super().__init__(rule, mend='Send {"reward": 1.0, "route": "…"} or {"reward": 1.0, "id": "…"}.')


class FeaturesUnfit(ModelyardError):
    """Raised when a feature reader gives something else than a mapping of features for each key."""

    kind = ErrorKind.USER_CODE

    def __init__(self, keys: int, found: object) -> None:
        super().__init__(
            f"the feature reader must give a list of {keys} mappings, one for each key: {found!r:.80}",
            facts={"keys": keys},
        )
