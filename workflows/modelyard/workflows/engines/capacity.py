"""What one machine has to give to the steps that run side by side on it."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelyard.workflows.definition import Step

__all__ = ["Capacity", "bytes_of"]

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"Ki": 2**10, "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}


def bytes_of(amount: str) -> float:
    """Return an amount of memory in bytes.

    Examples
    --------
    >>> bytes_of("4Gi"), bytes_of("1.5k")
    (4294967296.0, 1500.0)
    """
    found = re.fullmatch(r"([0-9.]+)([kKMGTP]i?)?", amount)
    if found is None:
        raise ValueError(amount)
    unit = found[2] or ""
    return float(found[1]) * (_BINARY[unit] if unit in _BINARY else _UNITS[unit])


@dataclass(frozen=True)
class Capacity:
    """The processors and the memory of a machine; steps that ask for more than is free wait for others to end.

    Nothing keeps a step from taking more than it has asked for, and GPUs are not handed out.

    Parameters
    ----------
    cpu
        How many processors.
    memory
        How many bytes.

    Examples
    --------
    >>> from modelyard.projects import ResourcesDefinition
    >>> machine = Capacity(cpu=4, memory=8e9)
    >>> wide = Step("fit", "train", resources=ResourcesDefinition(cpu=3))
    >>> machine.has_room(wide, []), machine.has_room(wide, [wide]), machine.has_room(Step("a", "call"), [wide])
    (True, False, True)
    """

    cpu: float
    memory: float

    @classmethod
    def of_machine(cls) -> "Capacity":
        """Return what this machine has."""
        return cls(os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

    def has_room(self, step: Step, running: Iterable[Step]) -> bool:
        """Return whether a step may start beside others; where none runs, any step may.

        Parameters
        ----------
        step
            The step.
        running
            The steps that are at work.
        """
        others = list(running)
        cpu = sum(map(_cpu, others)) + _cpu(step)
        memory = sum(map(_memory, others)) + _memory(step)
        # A step that asks for nothing is never kept waiting by those that do.
        return not others or ((not _cpu(step) or cpu <= self.cpu) and (not _memory(step) or memory <= self.memory))

    def misfits(self, steps: Iterable[Step]) -> Iterator[str]:
        """Say what steps ask for that this machine cannot give, a sentence for each matter."""
        wants = [step for step in steps if step.resources is not None]
        gpus = [step.name for step in wants if step.resources and step.resources.gpu]
        if gpus:
            yield f"no GPU is handed out on this machine, though asked for by: {', '.join(gpus)}"
        wide = [step.name for step in wants if _cpu(step) > self.cpu]
        if wide:
            yield f"this machine has {self.cpu:g} processors, fewer than asked for by: {', '.join(wide)}"
        large = [step.name for step in wants if _memory(step) > self.memory]
        if large:
            yield f"this machine has {self.memory / 2**30:.1f}Gi of memory, less than asked for by: {', '.join(large)}"


def _cpu(step: Step) -> float:
    return (step.resources.cpu if step.resources else None) or 0.0


def _memory(step: Step) -> float:
    amount = step.resources.memory if step.resources else None
    return bytes_of(amount) if amount else 0.0
