"""How to install, elsewhere, the modelyard that runs here."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["editable_root", "own_requirement", "split_requirements"]

_NAME = "modelyard"
_OURS = re.compile(r"^modelyard(?![\w.-])\s*(?:\[(?P<extras>[^]]*)\])?", re.IGNORECASE)


def split_requirements(requirements: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the requirements on others, and the extras of modelyard that are asked for by ``modelyard[…]``.

    Examples
    --------
    >>> split_requirements(["scikit-learn>=1.6", "modelyard[features]"])
    (['scikit-learn>=1.6'], ['features'])
    """
    others, extras = [], []
    for requirement in requirements:
        match = _OURS.match(requirement.strip())
        if match is None:
            others.append(requirement)
        else:
            extras += [extra.strip() for extra in (match["extras"] or "").split(",") if extra.strip()]
    return others, extras


def own_requirement(extras: Sequence[str] = (), running: Distribution | None = None) -> list[str]:
    """Return the arguments of ``pip install`` that install what runs here: the same checkout, archive or version.

    Parameters
    ----------
    extras
        The extras to install with it.
    running
        The installed distribution; the one that runs unless given.
    """
    running = running or distribution(_NAME)
    name = f"{_NAME}[{','.join(sorted(set(extras)))}]" if extras else _NAME
    place = json.loads(running.read_text("direct_url.json") or "{}")
    folder = _local(place)
    if folder is not None and place.get("dir_info", {}).get("editable"):
        return ["--editable", f"{folder}{name.removeprefix(_NAME)}"]
    if folder is not None and folder.exists():
        return [f"{name} @ {folder.as_uri()}"]
    commit = place.get("vcs_info", {}).get("commit_id")
    if commit:
        return [f"{name} @ git+{place['url']}@{commit}"]
    return [f"{name}=={running.version}"]


def editable_root(running: Distribution | None = None) -> Path | None:
    """Return the checkout that an editable install runs from, or None."""
    place = json.loads((running or distribution(_NAME)).read_text("direct_url.json") or "{}")
    return _local(place) if place.get("dir_info", {}).get("editable") else None


def _local(place: dict[str, str]) -> Path | None:
    parts = urlsplit(place.get("url", ""))
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
