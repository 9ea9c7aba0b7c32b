"""What every contestant's script does: say its cases and their answers, then time them on request."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

INPUTS = (20, 7, -3, 0)
"""What the cases with numbers are asked, to compare the answers."""

LABELS = (0, 1, 2)
"""What routers and ensembles are asked: MLRun's vote knows no negative label, and costs more with greater ones."""


class Case(NamedTuple):
    """Something to time.

    Parameters
    ----------
    run
        Sends so many events through, and returns when they are done.
    answers
        Gives what must be equal for all contestants: JSON values.
    """

    run: Callable[[int], None]
    answers: Callable[[], Any]


def answer(makers: Mapping[str, Callable[[], Case]]) -> None:
    """Serve the line protocol of `contest` until standard input ends, for the cases that the command line names.

    Parameters
    ----------
    makers
        Name → what makes the case: models are fitted and servers started only for cases that are wanted.
    """
    cases = {name: maker() for name, maker in makers.items() if name in sys.argv[1:]}
    answers = {name: case.answers() for name, case in cases.items()}
    for case in cases.values():
        case.run(10)
    _say(answers)
    for line in sys.stdin:
        name, _, count = line.strip().rpartition(" ")
        begin = time.process_time()
        cases[name].run(int(count))
        _say(time.process_time() - begin)
    # Some peers leave threads behind that would keep the interpreter alive.
    os._exit(0)


def _say(value: object) -> None:
    print(f"answer {json.dumps(value)}", flush=True)
