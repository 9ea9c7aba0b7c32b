"""The earlier pushes of a request, kept in the comment itself."""

import base64
import binascii
import re

import msgspec

from modelyard.ci.reporting.escaping import code

__all__ = ["Push", "extended", "history_of", "history_section", "kept"]

_MOST = 30
_LARGEST = 20_000
_KEPT = re.compile(r"^<!-- modelyard:history ([A-Za-z0-9+/=]+) -->$", re.MULTILINE)


class Push(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one commit of a request did.

    Parameters
    ----------
    commit
        The commit.
    words
        The verdict in one or two words.
    metric, value
        The main metric.
    at
        When, as ``2026-11-21 18:20``, in UTC.
    """

    commit: str
    words: str
    metric: str = ""
    value: float | None = None
    at: str = ""


def history_of(body: str) -> list[Push]:
    r"""Return the pushes that a comment keeps; what cannot be read is none.

    Examples
    --------
    >>> push = Push("a" * 40, "passed")
    >>> history_of(f"text\n{kept([push])}") == [push]
    True
    >>> history_of("<!-- modelyard:history bm9uc2Vuc2U= -->")
    []
    """
    found = _KEPT.findall(body)
    if not found or len(found[-1]) > _LARGEST:
        return []
    try:
        return msgspec.json.decode(base64.b64decode(found[-1], validate=True), type=list[Push])[-_MOST:]
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return []


def kept(pushes: list[Push]) -> str:
    """Return the hidden line of a comment that keeps pushes."""
    return f"<!-- modelyard:history {base64.b64encode(msgspec.json.encode(pushes[-_MOST:])).decode()} -->"


def extended(pushes: list[Push], push: Push) -> list[Push]:
    """Return pushes with one more; a commit that was judged before is judged anew."""
    return [*(each for each in pushes if each.commit != push.commit), push][-_MOST:]


def history_section(pushes: list[Push]) -> str:
    """Return the earlier pushes as a folded table, the newest first; nothing if there is none."""
    if not pushes:
        return ""
    rows = [
        f"| {code(each.commit[:12])} | {code(each.at)} | {code(each.words)} | {_figure(each)} |"
        for each in reversed(pushes)
    ]
    table = "\n".join(["| commit | when (UTC) | verdict | main metric |", "|---|---|---|---:|", *rows])
    count = f"{len(pushes)} earlier push{'' if len(pushes) == 1 else 'es'}"
    return f"<details>\n<summary>{count}</summary>\n\n{table}\n\n</details>"


def _figure(push: Push) -> str:
    return "–" if push.value is None else f"{code(push.metric)} {push.value:.4f}"
