"""What a change touches, so that a request runs only what it must."""

from modelyard.ci.planning.changes import Changes, changes_of
from modelyard.ci.planning.plan import plan_change

__all__ = ["Changes", "changes_of", "plan_change"]
