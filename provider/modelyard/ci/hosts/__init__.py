"""CI hosts: what a job knows about itself, in the same words everywhere."""

from modelyard.ci.hosts.context import CiContext, CiFiles, EventKind, ForgeKind, HostKind, Token
from modelyard.ci.hosts.detection import detect

__all__ = ["CiContext", "CiFiles", "EventKind", "ForgeKind", "HostKind", "Token", "detect"]
