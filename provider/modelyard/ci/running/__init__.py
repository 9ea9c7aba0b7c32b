"""Runs for a change: the touched workflows, cut down to what a request needs."""

from modelyard.ci.running.run import Running, RunRequest
from modelyard.ci.running.slimming import SlimWorkflow, slim

__all__ = ["RunRequest", "Running", "SlimWorkflow", "slim"]
