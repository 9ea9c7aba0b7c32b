"""Work in CI: what runs the job, what a change touches, and what is told about it, the same on every host."""

from modelyard.ci.hosts import CiContext, detect

__all__ = ["CiContext", "detect"]
