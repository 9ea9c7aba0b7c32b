"""Launchers: where the work of an operation runs."""

from modelyard.operations.launchers.inline import InlineLauncher
from modelyard.operations.launchers.launcher import Launcher, OnLog, Reach
from modelyard.operations.launchers.process import ProcessLauncher
from modelyard.operations.launchers.registry import LAUNCHERS, launcher_of

__all__ = ["LAUNCHERS", "InlineLauncher", "Launcher", "OnLog", "ProcessLauncher", "Reach", "launcher_of"]
