"""Launchers: where the work of an operation runs."""

from modelyard.operations.launchers.inline import InlineLauncher
from modelyard.operations.launchers.launcher import Launcher, OnLog, Reach
from modelyard.operations.launchers.process import ProcessLauncher

__all__ = ["InlineLauncher", "Launcher", "OnLog", "ProcessLauncher", "Reach"]
