"""Values of every type that a parameter can have, easily bent ones among them; for the operation ``door``."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["CASES", "DEFAULTS", "as_received"]

DEFAULTS: dict[str, Any] = {
    "text": "",
    "dataset": "in.parquet",
    "model": "models:/m@champion",
    "count": 0,
    "ratio": 0.5,
    "flag": False,
    "choice": "one",
    "names": [],
    "table": [],
    "settings": {},
    "limits": {},
    "maybe_text": None,
    "maybe_count": None,
    "maybe_names": None,
    "anything": None,
}
CASES: dict[str, dict[str, Any]] = {
    "left out": {"text": "t"},
    "usual": {
        "text": "some text",
        "dataset": "s3://bucket/in/",
        "model": "models:/delays/3",
        "count": 7,
        "ratio": 0.25,
        "flag": True,
        "choice": "two",
        "names": ["a", "b"],
        "table": [[1, 2], [3]],
        "settings": {"depth": 7},
        "limits": {"auc": 0.7},
        "maybe_text": "perhaps",
        "maybe_count": 3,
        "maybe_names": ["c"],
        "anything": "x",
    },
    "empty": {
        "text": "",
        "count": 0,
        "ratio": 0.0,
        "flag": False,
        "names": [],
        "table": [],
        "settings": {},
        "limits": {},
        "maybe_text": "",
        "maybe_count": 0,
        "maybe_names": [],
        "anything": "",
    },
    "odd": {
        "text": "ä → 😀 \"quoted\" 'too' \\ $HOME %s {x} }}\n",
        "dataset": "näme with space.csv",
        "count": -(2**70),
        "ratio": 1e-308,
        "flag": True,
        "names": ["", "ä", "a,b", "[1]", "null", "'\""],
        "table": [[], [2**64, -1]],
        "settings": {"ä": None, "t": True, "f": 1.0, "i": 1, "big": 2**64, "deep": [{"a": [[], {}, "1", 1.5e300]}]},
        "limits": {"one": 1.0},
        "maybe_text": "None",
        "maybe_count": 2**100,
        "anything": [1, 1.0, None, {"k": "v"}],
    },
    "at the edge": {"text": "t", "count": 2**53 - 1, "maybe_count": 2**53, "settings": {"n": -(2**53) + 1}},
    "nothing": {"text": "t", "maybe_text": None, "maybe_count": None, "maybe_names": None, "anything": None},
    "text that looks like something else": {"text": "2024", "maybe_text": "null", "names": ["1", "true"]},
    "whole numbers where a fraction may be": {"text": "1", "ratio": 3, "limits": {"x": 2}},
}
_RECEIVED = {"whole numbers where a fraction may be": {"text": "1", "ratio": 3.0, "limits": {"x": 2.0}}}


def as_received(case: str, cases: Mapping[str, dict[str, Any]] = CASES) -> str:
    """Return what the operation says that it has received."""
    return json.dumps({**DEFAULTS, **_RECEIVED.get(case, cases[case])})
