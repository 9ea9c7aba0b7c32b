"""Fetches the proof of the job's identity into a file, and names it to later steps. Needs nothing but Python."""

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen


def main() -> int:
    """Fetch, write, and return the exit code."""
    address, key = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    role = os.environ["IDENTITY_ROLE"]
    if not address or not key:
        sys.stdout.write("::error title=modelyard identity::the job needs the permission id-token: write\n")
        return 2
    if any(sign in role for sign in "\r\n"):
        sys.stdout.write("::error title=modelyard identity::role is one line\n")
        return 2
    url = f"{address}&audience={quote(os.environ['IDENTITY_AUDIENCE'], safe='')}"
    with urlopen(Request(url, headers={"Authorization": f"bearer {key}"}), timeout=60) as reply:  # noqa: S310 - GitHub's own
        proof = json.load(reply)["value"]
    sys.stdout.write(f"::add-mask::{proof}\n")
    path = Path(os.environ["RUNNER_TEMP"]) / "identity-token"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(proof, encoding="utf-8")
    with Path(os.environ["GITHUB_ENV"]).open("a", encoding="utf-8") as file:
        file.write(f"AWS_WEB_IDENTITY_TOKEN_FILE={path}\nAWS_ROLE_ARN={role}\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"token-file={path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
