"""What goes wrong when answers are combined."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["VoteTied", "WeightMissing"]


class VoteTied(ModelyardError):
    """Raised when labels have equally many votes, and the vote is told to refuse that."""

    kind = ErrorKind.USER_CODE

    def __init__(self, labels: Sequence[object]) -> None:
        told = ", ".join(repr(label) for label in labels)
        super().__init__(
            f"the vote is tied between {told}",
            mend='Say ties="first" or "smallest".',
            facts={"labels": [*map(str, labels)]},
        )


class WeightMissing(ModelyardError):
    """Raised when the members that answered weigh nothing."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, answered: Sequence[str]) -> None:
        super().__init__(f"only members of weight 0 answered: {', '.join(answered)}", facts={"answered": [*answered]})
