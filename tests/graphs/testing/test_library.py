"""Every block of the library keeps the contract; one without a case fails here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_service import local_service

from modelyard.errors import ErrorKind
from modelyard.graphs.steps import (
    Deduplicate,
    Fields,
    Fold,
    HttpCall,
    MapByKey,
    RateLimit,
    Reader,
    Sample,
    Validate,
    Writer,
)
from modelyard.graphs.testing import BlockCase, check_case, library_blocks

INVALID, CONFLICT, DENIED, MISSING = ErrorKind.INVALID, ErrorKind.CONFLICT, ErrorKind.DENIED, ErrorKind.NOT_FOUND
RULES = {"distance": {"type": "number", "min": 0}, "origin": {"one_of": ["EWR", "JFK"]}}
GOOD = {"distance": 2475, "origin": "JFK"}
BAD = {"distance": -1, "origin": "BER"}
FLIGHTS = [
    {"at": "2013-06-01T17:45", "distance": 2475, "origin": "JFK", "seats": None},
    {"at": "2013-06-02T05:15:30+02:00", "distance": 100, "origin": "EWR", "seats": 120},
]

CASES: dict[type, list[BlockCase]] = {
    MapByKey: [
        BlockCase(
            use=MapByKey,
            arguments={"use": "probe_blocks:since_last", "key": "house"},
            bodies=[{"house": "a", "meter": 10}, {"house": "b", "meter": 5}, {"house": "a", "meter": 17}],
            replies=[0, 0, 7],
            refused=[({"meter": 1}, INVALID), ({"house": "a"}, ErrorKind.USER_CODE)],
            wrong_arguments=[
                {"use": 3},
                {"use": "probe_blocks:since_last", "limit": 0},
                {"use": "probe_blocks:since_last", "seconds": -1},
                {"use": "probe_blocks:since_last", "key": 3},
            ],
        )
    ],
    Fold: [
        BlockCase(
            use=Fold,
            arguments={
                "key": "user",
                "aggregates": {
                    "orders": "count",
                    "spent": {"sum": "amount"},
                    "mean": {"mean": "amount"},
                    "least": {"min": "amount"},
                    "shops": {"distinct": "shop"},
                },
            },
            bodies=[
                {"user": "ann", "amount": 10, "shop": "x"},
                {"user": "bob", "amount": None},
                {"user": "ann", "amount": 5, "shop": "y"},
            ],
            replies=[
                {"orders": 1, "spent": 10, "mean": 10.0, "least": 10, "shops": 1},
                {"orders": 1, "spent": 0, "mean": None, "least": None, "shops": 0},
                {"orders": 2, "spent": 15, "mean": 7.5, "least": 5, "shops": 2},
            ],
            refused=[({"amount": 1}, INVALID), ({"user": "ann", "amount": "much"}, INVALID)],
            wrong_arguments=[
                {},
                {"aggregates": {}},
                {"aggregates": {"x": {"summ": "a"}}},
                {"aggregates": {"x": "sum"}},
                {"use": "probe_blocks:collected", "size": 3},
            ],
        ),
        BlockCase(
            use=Fold,
            arguments={"use": "probe_blocks:collected", "initial": []},
            bodies=[1, 2],
            replies=[[1], [1, 2]],
        ),
    ],
    Sample: [
        BlockCase(
            use=Sample,
            kind="filter",
            arguments={"rate": 0.2, "key": "user"},
            bodies=[{"user": number} for number in range(8)],
            replies=[{"user": number} if number in (2, 6) else None for number in range(8)],
            refused=[({}, INVALID)],
            wrong_arguments=[{"rate": 1.5}, {"rate": float("nan")}, {}, {"rate": 0.5, "every": 2}, {"every": 0}],
            deterministic=True,
        ),
        BlockCase(
            use=Sample,
            kind="filter",
            arguments={"every": 2},
            bodies=[1, 2, 3],
            replies=[1, None, 3],
            deterministic=True,
        ),
        BlockCase(use=Sample, kind="filter", arguments={"rate": 1.0}, bodies=[1, 2, 3], replies=[1, 2, 3]),
        BlockCase(use=Sample, kind="filter", arguments={"rate": 0.0}, bodies=[1, 2, 3], replies=[None, None, None]),
    ],
    Deduplicate: [
        BlockCase(
            use=Deduplicate,
            kind="filter",
            arguments={"key": "order"},
            bodies=[{"order": 1}, {"order": 1}, {"order": True}, {"order": [1]}],
            replies=[{"order": 1}, None, {"order": True}, {"order": [1]}],
            refused=[({}, INVALID)],
            wrong_arguments=[{"seconds": -1}, {"limit": 0}, {"on_repeat": "explode"}, {"key": "a", "by_id": True}],
        ),
        BlockCase(use=Deduplicate, arguments={"on_repeat": "reject"}, bodies=[1, 2], replies=[1, 2]),
        BlockCase(use=Deduplicate, kind="filter", arguments={"by_id": True}, bodies=[1, 1], replies=[1, 1]),
    ],
    RateLimit: [
        BlockCase(
            use=RateLimit,
            arguments={"rate": 3, "seconds": 3600, "key": "user"},
            bodies=[{"user": "a"}, {"user": "a"}],
            replies=[{"user": "a"}, {"user": "a"}],
            refused=[({}, INVALID)],
            wrong_arguments=[{"rate": 0}, {"rate": 1, "burst": 0}, {"rate": 1, "on_excess": "explode"}, {"rate": "1"}],
            deterministic=True,
        ),
        BlockCase(
            use=RateLimit,
            kind="filter",
            arguments={"rate": 1, "seconds": 3600, "on_excess": "drop"},
            bodies=[1, 2],
            replies=[1, None],
            deterministic=True,
        ),
        BlockCase(
            use=RateLimit,
            arguments={"rate": 1000, "burst": 1000, "on_excess": "wait"},
            bodies=[1, 2],
            replies=[1, 2],
            deterministic=True,
        ),
    ],
    Fields: [
        BlockCase(
            use=Fields,
            arguments={
                "dates": {"at": ["hour", "weekday", "month"]},
                "values": {"distance": {"ranges": [[None, 500, "short"], [500, None, "long"]], "into": "haul"}},
                "one_hot": {"origin": ["EWR", "JFK"]},
                "impute": {"seats": 150},
                "scale": {"distance": {"min": 0, "max": 5000}},
                "rename": {"seats": "places"},
                "extend": {"tags": ["x"]},
                "drop": ["at"],
            },
            bodies=FLIGHTS,
            replies=[
                {
                    "distance": 0.495,
                    "origin_EWR": 0,
                    "origin_JFK": 1,
                    "places": 150,
                    "at_hour": 17,
                    "at_weekday": 5,
                    "at_month": 6,
                    "haul": "long",
                    "tags": ["x"],
                },
                {
                    "distance": 0.02,
                    "origin_EWR": 1,
                    "origin_JFK": 0,
                    "places": 120,
                    "at_hour": 5,
                    "at_weekday": 6,
                    "at_month": 6,
                    "haul": "short",
                    "tags": ["x"],
                },
            ],
            refused=[
                ({**FLIGHTS[0], "origin": "BER"}, INVALID),
                ({**FLIGHTS[0], "at": "tomorrow"}, INVALID),
                ({**FLIGHTS[0], "distance": "far"}, INVALID),
                ({}, INVALID),
                (3, INVALID),
            ],
            wrong_arguments=[
                {},
                {"rename": {"a": 3}},
                {"renam": {"a": "b"}},
                {"dates": {"a": ["century"]}},
                {"values": {"a": {}}},
                {"values": {"a": {"map": {1: 2}}}},
                {"one_hot": {"a": []}},
                {"scale": {"a": {"mean": 1}}},
                {"scale": {"a": {"mean": 1, "std": 0}}},
                {"operations": [], "drop": ["a"]},
            ],
        ),
        BlockCase(
            use=Fields,
            arguments={"operations": [{"rename": {"a": "b"}}, {"rename": {"b": "c"}}]},
            bodies=[{"a": 1}, [{"a": 1}, {"a": 2}]],
            replies=[{"c": 1}, [{"c": 1}, {"c": 2}]],
        ),
    ],
    Validate: [
        BlockCase(
            use=Validate,
            arguments={"rules": RULES},
            bodies=[GOOD],
            replies=[GOOD],
            refused=[(BAD, INVALID), ({}, INVALID), (None, INVALID)],
            wrong_arguments=[
                {},
                {"rules": {"a": {"typ": "number"}}},
                {"rules": {"a": {"type": "float"}}},
                {"rules": {"a": {"pattern": "("}}},
                {"rules": {"a": {"min": "1"}}},
                {"schema": {"type": "nonsense"}},
                {"rules": RULES, "on_invalid": "explode"},
            ],
        ),
        BlockCase(
            use=Validate,
            arguments={"rules": RULES, "on_invalid": "tag"},
            bodies=[GOOD, BAD],
            replies=[
                {**GOOD, "invalid": []},
                {
                    **BAD,
                    "invalid": [
                        {"field": "distance", "rule": "must be at least 0", "value": -1},
                        {"field": "origin", "rule": "must be one of EWR, JFK", "value": "BER"},
                    ],
                },
            ],
        ),
        BlockCase(
            use=Validate,
            kind="choice",
            outlets=["valid", "invalid"],
            arguments={"schema": {"type": "integer", "minimum": 0}, "on_invalid": "route"},
            bodies=[1, -1],
            replies=[
                1,
                {
                    "body": -1,
                    "reasons": [
                        {"field": "", "rule": "breaks the schema: -1 is less than the minimum of 0", "value": -1}
                    ],
                },
            ],
        ),
    ],
    Writer: [
        BlockCase(
            use=Writer,
            arguments={"folder": "memory://written", "format": kind, "rows": 2},
            bodies=[{"a": 1}, {"a": None}, {"a": 2.5}],
            replies=[{"a": 1}, {"a": None}, {"a": 2.5}],
            refused=[(3, INVALID), *([({"a": "x"}, INVALID), ({"b": 1}, INVALID)] if kind != "jsonl" else [])],
            wrong_arguments=[
                {"folder": ""},
                {"folder": "memory://x", "format": "xml"},
                {"folder": "memory://x", "rows": 0},
            ],
        )
        for kind in ("jsonl", "csv", "parquet")
    ],
    HttpCall: [],  # below: they need a service
    Reader: [],  # below: they need files
}


def test_every_block_has_a_case() -> None:
    blocks = set(library_blocks()["steps"])
    assert {block.__name__ for block in blocks - CASES.keys()} == set()


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{case.name}-{number}") for cases in CASES.values() for number, case in enumerate(cases)],
)
def test_the_contract(case: BlockCase) -> None:
    check_case(case)


@pytest.fixture
def service() -> Iterator[Any]:
    with local_service() as running:
        yield running


def test_the_contract_of_http_calls(service: Any) -> None:
    check_case(
        BlockCase(
            use=HttpCall,
            arguments={"url": service.url, "path": "/echo/{id}", "attempts": 1, "result_path": "answer"},
            bodies=[{"id": "a b"}],
            replies=[
                {"id": "a b", "answer": {"method": "POST", "path": "/echo/a%20b", "query": {}, "body": {"id": "a b"}}}
            ],
            refused=[({}, INVALID)],
            wrong_arguments=[
                {"url": "ftp://x"},
                {"url": "http://u:p@x"},
                {"url": "http://x", "method": "BREW"},
                {"url": "http://x", "path": "/{a b}"},
                {"url": "http://x", "path": "x"},
                {"url": "http://x", "seconds": 0},
                {"url": "http://x", "statuses": {"ok": 1}},
            ],
        )
    )
    for status, kind in {400: INVALID, 404: MISSING, 401: DENIED, 409: CONFLICT, 504: ErrorKind.TIMEOUT}.items():
        arguments = {"url": service.url, "path": f"/status/{status}", "attempts": 1}
        check_case(BlockCase(use=HttpCall, arguments=arguments, refused=[({"id": 1}, kind)]))


def test_the_contract_of_readers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.jsonl").write_text('{"a": 9}')
    (tmp_path / "in/rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "in/rows.csv").write_text("a\n3\n4\n")
    (tmp_path / "in/broken.jsonl").write_text('{"a": 1}\n{"a":\n')
    (tmp_path / "in/link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    check_case(
        BlockCase(
            use=Reader,
            arguments={"folder": str(tmp_path / "in"), "field": "file"},
            bodies=[{"file": "rows.jsonl"}, {"file": "rows.csv"}],
            replies=[[{"a": 1}, {"a": 2}], [{"a": 3}, {"a": 4}]],
            refused=[
                ({}, INVALID),
                ({"file": "../secret.jsonl"}, DENIED),
                ({"file": "link.jsonl"}, DENIED),
                ({"file": "/etc/passwd"}, DENIED),
                ({"file": 3}, DENIED),
                ({"file": "none.jsonl"}, MISSING),
                ({"file": "broken.jsonl"}, INVALID),
            ],
            wrong_arguments=[{}, {"folder": "memory://x"}, {"uri": "nosuch://x"}, {"uri": "memory://x", "size": -1}],
        )
    )
