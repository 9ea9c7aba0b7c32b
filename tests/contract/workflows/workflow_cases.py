"""What each workflow of the contract leaves, whichever engine runs it."""

from dataclasses import dataclass, field
from typing import Any

from modelyard.errors import ErrorKind

__all__ = ["CASES", "FOLDER", "Case"]

FOLDER = "<folder>"
"""Stands for a folder of the test's own among the inputs."""

_BIG = [2**53 + 1, 2**63 - 1, -(2**63)]
_FLOATS = [0.1 + 0.2, 1e-308, 1.7976931348623157e308, -1.5, 3.0]
_TEXTS = ["ä → 😀", 'it\'s "quoted"', "line\nline", "", " space ", "{{ braces }}", "$HOME %s \\", "null", "007"]
_NESTED = {"list": [1, [2, [3, []]], {"a": {"b": [None, True, False]}}], "empty": {}, "ä": "ö"}
_FACTS = {
    "big": _BIG,
    "one_big": _BIG[1],
    "floats": _FLOATS,
    "texts": _TEXTS,
    "nested": _NESTED,
    "nothing": None,
    "yes": True,
    "no": False,
    "quoted": _TEXTS[1],
    "accuracy": 0.8,
}


@dataclass(frozen=True)
class Case:
    """One run of a workflow, and what it must leave.

    Parameters
    ----------
    name
        The case's name.
    workflow
        The workflow's name in ``contract.flows``.
    inputs
        The workflow's parameters; `FOLDER` in them stands for a folder.
    values
        The ``value`` of each step that succeeds, by its name; other steps must not have a result.
    skipped, blocked
        The steps that are not run: because their branch is not taken, or because something they need failed.
    failures
        The steps that fail: the kind of error, and words of its message.
    independent
        Steps among the above that an engine which stops at the first failure may leave out.
    """

    name: str
    workflow: str
    inputs: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    failures: dict[str, tuple[ErrorKind, str]] = field(default_factory=dict)
    independent: tuple[str, ...] = ()


def _which(*names: str) -> dict[str, Any]:
    return {name: {"which": name} for name in names}


_PARAMETERS = {
    "text": "ä $HOME $$",
    "number": 7,
    "ratio": 0.5,
    "flag": False,
    "names": ["a", "b"],
    "settings": {"depth": 3, "deep": [1, {"a": None}]},
    "maybe": None,
}
_OTHERS = {
    "text": "it's {{ 1 }}\n",
    "number": -(2**60),
    "ratio": 3.0,
    "flag": True,
    "names": ["x", ""],
    "settings": {"depth": 4, "ä": [1.0, 1]},
    "maybe": 0,
}
_PASSING = (
    Case("single", "single", values={"only": {"a": 1, "b": "two"}}),
    Case("chain", "chain", values={"one": {"sum": 2}, "two": {"sum": 3}, "three": {"sum": 5}}),
    Case("chain with an input", "chain", {"start": 10}, {"one": {"sum": 11}, "two": {"sum": 12}, "three": {"sum": 23}}),
    Case(
        "diamond",
        "diamond",
        values={
            "top": {"items": [0, 1, 2]},
            "left": {"sum": 12},
            "right": {"sum": 3, "count": 3},
            "bottom": {"sum": 18, "count": 3},
        },
    ),
    Case("parameters by default", "parameters", values={"received": {**_PARAMETERS, "second": "b", "depth": 3}}),
    Case("parameters given", "parameters", _OTHERS, values={"received": {**_OTHERS, "second": "", "depth": 4}}),
    Case(
        "values of all sorts",
        "values",
        values={
            "facts": _FACTS,
            "texts": {"texts": _TEXTS, "one": _TEXTS[0], "quoted": _TEXTS[1]},
            "numbers": {"big": _BIG, "one_big": _BIG[1], "floats": _FLOATS},
            "nothing": {"none": None, "inside": [None, {"none": None}]},
            "truth": {"yes": True, "no": False, "both": [True, False]},
            "nested": {"nested": _NESTED, "deep": [3, []], "empty": [{}, []]},
            "whole": {"facts": _FACTS},
        },
    ),
    Case(
        "order without values",
        "ordered",
        {"folder": FOLDER},
        {"first": {"word": "first"}, "second": {"word": "second"}, "third": {"notes": ["first", "second"]}},
    ),
    Case(
        "number at its limit",
        "number_condition",
        {"limit": 0.8},
        {"facts": _FACTS, **_which("good", "exactly")},
        skipped=("bad",),
    ),
    Case(
        "number below its limit",
        "number_condition",
        {"limit": 0.9},
        {"facts": _FACTS, **_which("bad", "exactly")},
        skipped=("good",),
    ),
    Case(
        "text with quotes",
        "text_condition",
        values={"facts": _FACTS, **_which("equal", "something")},
        skipped=("different",),
    ),
    Case(
        "empty text",
        "text_condition",
        {"word": ""},
        {"facts": _FACTS, **_which("different")},
        skipped=("equal", "something"),
    ),
    Case(
        "truth",
        "truth_condition",
        values={"facts": _FACTS, **_which("yes", "wanted")},
        skipped=("no", "unwanted", "one"),
    ),
    Case(
        "a false parameter",
        "truth_condition",
        {"wanted": False},
        {"facts": _FACTS, **_which("yes", "unwanted")},
        skipped=("no", "wanted", "one"),
    ),
    Case("both", "joined_conditions", {"a": 1, "b": 5}, _which("both", "one", "odd"), skipped=("none",)),
    Case("one of two", "joined_conditions", {"a": 7, "b": -1}, _which("one"), skipped=("both", "none", "odd")),
    Case("none of two", "joined_conditions", {"a": 0, "b": 0}, _which("none"), skipped=("both", "one", "odd")),
    Case(
        "nested conditions, both",
        "nested_conditions",
        {"a": 1, "b": 1},
        {"outer": {"sum": 2}, "inner": {"sum": 3}},
        skipped=("zero", "below", "nothing"),
    ),
    Case(
        "nested conditions, the last",
        "nested_conditions",
        {"a": 1, "b": -1},
        {"outer": {"sum": 2}, "below": {"sum": -98}},
        skipped=("inner", "zero", "nothing"),
    ),
    Case(
        "nested conditions, none",
        "nested_conditions",
        {"a": 0, "b": 1},
        _which("nothing"),
        skipped=("outer", "inner", "zero", "below"),
    ),
    Case(
        "results that are there",
        "defaults",
        {"a": 1},
        {
            "maybe": {"sum": 2},
            "literal": {"got": 2},
            "whole": {"got": {"sum": 2}},
            "either": {"got": 2},
            "inside": {"all": [2, 1]},
        },
        skipped=("instead",),
    ),
    Case(
        "results of skipped steps",
        "defaults",
        {"a": 0},
        {
            "instead": {"sum": 101},
            "literal": {"got": -1},
            "whole": {"got": {"none": None}},
            "either": {"got": 101},
            "inside": {"all": ["none", 0]},
        },
        skipped=("maybe",),
    ),
    Case(
        "after a skipped step",
        "after_skipped",
        {"a": 0, "folder": FOLDER},
        {"always": {"word": "always"}},
        skipped=("maybe",),
    ),
    Case(
        "loop over values",
        "static_loop",
        values={
            "called[0]": {"item": 1},
            "called[1]": {"item": "two"},
            "called[2]": {"item": None},
            "called[3]": {"item": {"three": [3]}},
            "all": {"items": [1, "two", None, {"three": [3]}]},
        },
    ),
    Case(
        "loop over a parameter",
        "parameter_loop",
        {"numbers": [3, 1, 2**53 + 1]},
        {
            "more[0]": {"sum": 3.5},
            "more[1]": {"sum": 1.5},
            "more[2]": {"sum": 9007199254740992.0},
            "all": {"sum": 9007199254740997.0, "count": 3},
            "whole": {"all": [{"sum": 3.5}, {"sum": 1.5}, {"sum": 9007199254740992.0}]},
        },
    ),
    Case(
        "loop over what a step found",
        "computed_loop",
        {"count": 3},
        {
            "found": {"items": [0, 1, 2]},
            **{f"more[{index}]": {"sum": 10 + index} for index in range(3)},
            **{f"twice[{index}]": {"sum": 20 + 3 * index, "count": 3} for index in range(3)},
            "all": {"all": [20, 23, 26], "items": [0, 1, 2]},
        },
    ),
    Case(
        "loop over nothing",
        "computed_loop",
        {"count": 0},
        {"found": {"items": []}, "all": {"all": [], "items": []}},
    ),
    Case(
        "loop over an empty parameter",
        "parameter_loop",
        {"numbers": []},
        {"all": {"sum": 0, "count": 0}, "whole": {"all": []}},
    ),
    Case(
        "loop with a result from outside",
        "outer_result_in_loop",
        values={
            "up": {"word": "UP", "numbers": [7, 8]},
            "both[0]": {"pair": ["a", "UP"], "number": 8},
            "both[1]": {"pair": ["b", "UP"], "number": 8},
        },
    ),
    Case(
        "nested loops",
        "nested_loop",
        {"counts": [2, 0, 1]},
        {
            "inner[0]": {"items": [0, 1]},
            "inner[1]": {"items": []},
            "inner[2]": {"items": [0]},
            "product[0][0]": {"pair": [2, 0]},
            "product[0][1]": {"pair": [2, 1]},
            "product[2][0]": {"pair": [1, 0]},
            "summed[0]": {"pairs": [[2, 0], [2, 1]]},
            "summed[1]": {"pairs": []},
            "summed[2]": {"pairs": [[1, 0]]},
            "all": {
                "all": [[[2, 0], [2, 1]], [], [[1, 0]]],
                "by_item": [[[2, 0], [2, 1]], [], [[1, 0]]],
            },
        },
    ),
    Case("nested loops over nothing", "nested_loop", {"counts": []}, {"all": {"all": [], "by_item": []}}),
    Case(
        "loop over mappings",
        "mappings_loop",
        values={
            "part[0][0]": {"name": "a", "part": 1},
            "part[0][1]": {"name": "a", "part": 2},
            "named[0]": {"name": "a", "parts": [1, 2]},
            "named[1]": {"name": "ö", "parts": []},
        },
    ),
    Case(
        "condition inside a loop",
        "condition_in_loop",
        {"numbers": [1, 5, 3]},
        {
            "found[0]": {"sum": 1},
            "found[1]": {"sum": 5},
            "found[2]": {"sum": 3},
            "small[0]": {"small": 1},
            "large[1]": {"sum": 105},
            "large[2]": {"sum": 103},
            "each-one[0]": {"got": "none"},
            "each-one[1]": {"got": 105},
            "each-one[2]": {"got": 103},
            "all": {"all": [None, 105, 103]},
        },
        skipped=("large[0]", "small[1]", "small[2]"),
    ),
    Case(
        "loop inside a condition",
        "loop_in_condition",
        {"go": True},
        {"more[0]": {"sum": 2}, "more[1]": {"sum": 3}, "all": {"all": [2, 3]}},
    ),
    Case("skipped loop", "loop_in_condition", {"go": False}, {"all": {"all": ["skipped"]}}, skipped=("more",)),
    Case(
        "loop inside a condition inside a loop",
        "loop_in_condition_in_loop",
        {"numbers": [2, 1]},
        {
            "found[0]": {"items": [0, 1]},
            "found[1]": {"items": [0]},
            "called[0][0]": {"pair": [2, 0]},
            "called[0][1]": {"pair": [2, 1]},
            "all": {"all": [[[2, 0], [2, 1]], []]},
        },
        skipped=("called[1]",),
    ),
    Case(
        "included workflows",
        "including",
        values={
            "small-first": {"sum": 3, "count": 2},
            "large-first": {"sum": 13, "count": 2},
            "large-large": {"sum": 12},
            "summed-up-first[0]": {"sum": 2, "count": 2},
            "summed-up-first[1]": {"sum": 4, "count": 2},
            "all": {"small": -1, "large": 12, "each": [2, 4]},
        },
        skipped=("small-large", "summed-up-large[0]", "summed-up-large[1]"),
    ),
    Case(
        "success with an exit handler",
        "handled",
        {"folder": FOLDER, "fails": False},
        {
            "noted": {"word": "noted"},
            "told": {"state": "succeeded", "has_error": False, "notes": ["noted"]},
        },
        skipped=("bad",),
    ),
    Case(
        "retry, then success",
        "retried",
        {"folder": FOLDER, "failures": 2},
        {
            "tried": {"tries": 3},
            "then": {"tries": 3},
            "told": {"state": "succeeded", "has_error": False, "notes": ["try", "try", "try"]},
        },
    ),
)
_FAILING = (
    Case(
        "failure",
        "failure",
        values={"first": {"sum": 2}, "aside": {"sum": 3}},
        blocked=("after", "branch", "turn", "number"),
        failures={"bad": (ErrorKind.USER_CODE, "this is 1")},
        independent=("first", "aside"),
    ),
    Case(
        "failure in a loop",
        "failure_in_loop",
        values={
            "tried[0]": {"item": 0},
            "tried[2]": {"item": 2},
            "then[0]": {"item": 0},
            "then[2]": {"item": 2},
        },
        blocked=("then[1]", "all"),
        failures={"tried[1]": (ErrorKind.USER_CODE, "item 1 is bad")},
        independent=("tried[0]", "tried[2]", "then[0]", "then[2]"),
    ),
    Case(
        "failure with an exit handler",
        "handled",
        {"folder": FOLDER, "fails": True},
        {
            "noted": {"word": "noted"},
            "told": {"state": "failed", "has_error": True, "notes": ["noted"]},
        },
        failures={"bad": (ErrorKind.USER_CODE, "this is broken")},
    ),
    Case(
        "retries used up, then the exit handler",
        "retried",
        {"folder": FOLDER, "failures": 5},
        {"told": {"state": "failed", "has_error": True, "notes": ["try", "try", "try"]}},
        blocked=("then",),
        failures={"tried": (ErrorKind.USER_CODE, "try 3 fails")},
    ),
    Case(
        "no retry for what stays wrong",
        "not_retried",
        {"folder": FOLDER},
        failures={"unfit": (ErrorKind.INVALID, "the parameters do not fit the function")},
    ),
    Case("time limit", "limited", failures={"late": (ErrorKind.TIMEOUT, "")}),
)
CASES = (*_PASSING, *_FAILING)
