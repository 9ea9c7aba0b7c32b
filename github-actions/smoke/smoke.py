"""Sends the requests of a file to an endpoint."""

import os
import sys
from pathlib import Path

from modelyard.ci.previewing.asking import ask
from modelyard.ci.previewing.requests import read_requests
from modelyard.errors import ModelyardError

MOST = 5
"""So many failures are shown."""


def main() -> int:
    """Ask, tell, and return the exit code."""
    try:
        answers = ask(os.environ["SMOKE_URL"], read_requests(os.environ["SMOKE_REQUESTS"]))
    except ModelyardError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    failed = [(number, each) for number, each in enumerate(answers, 1) if each.failed]
    for number, each in failed[:MOST]:
        sys.stdout.write(f"request {number}: status {each.status}, {each.body!r:.400}\n")
    sys.stdout.write(f"{len(answers) - len(failed)} of {len(answers)} requests were answered as they had to be\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"answered={len(answers) - len(failed)}\nfailed={len(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
