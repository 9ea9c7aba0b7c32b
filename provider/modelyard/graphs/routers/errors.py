"""What goes wrong in routers that learn."""

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["RewardInvalid"]


class RewardInvalid(ModelyardError):
    """Raised when a reward cannot be taken down."""

    kind = ErrorKind.INVALID

    def __init__(self, rule: str) -> None:
        super().__init__(rule, mend='Send {"reward": 1.0, "route": "…"} or {"reward": 1.0, "id": "…"}.')
