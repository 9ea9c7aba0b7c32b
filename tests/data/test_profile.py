import itertools
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.data import (
    ColumnMissing,
    ColumnTypeWrong,
    ProfileMismatch,
    ReferenceProfile,
    open_dataset,
    profile_of,
)

NUMBERS = st.none() | st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf) | st.integers(0, 3).map(float)
ROWS = st.lists(
    st.tuples(NUMBERS, st.none() | st.sampled_from(["a", "b", "c", "zz"]), st.none() | st.booleans()), max_size=60
)


def table(rows: list[tuple[float | None, str | None, bool | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table(
        {
            "x": pa.array(columns[0], pa.float64(), from_pandas=False),
            "t": pa.array(columns[1], pa.string()),
            "b": pa.array(columns[2], pa.bool_()),
        }
    )


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(0, 60), max_size=4))
def test_the_merge_of_parts_is_the_profile_of_the_whole(rows: list[tuple[float, str, bool]], cuts: list[int]) -> None:
    whole = table(rows)
    reference = profile_of(whole, bins=5)
    borders = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [
        profile_of(whole.slice(start, stop - start), like=reference) for start, stop in itertools.pairwise(borders)
    ]

    merged = parts[-1]
    for part in parts[-2::-1]:
        merged = ReferenceProfile.from_json(part.merge(merged).to_json())

    assert merged.rows == reference.rows == len(rows)
    for got, want in zip(merged.columns, reference.columns, strict=True):
        assert (got.name, got.type, got.kind, got.count, got.missing) == (
            want.name,
            want.type,
            want.kind,
            want.count,
            want.missing,
        )
        assert (got.infinite, got.min, got.max, got.bins) == (want.infinite, want.min, want.max, want.bins)
        assert (got.categories, got.other) == (want.categories, want.other)
        if want.mean is None or want.std is None:
            assert (got.mean, got.std) == (want.mean, want.std)
        else:
            scale = max(abs(want.min or 0), abs(want.max or 0), 1.0)
            assert got.mean == pytest.approx(want.mean, rel=1e-9, abs=1e-12 * scale)
            assert got.std == pytest.approx(want.std, rel=1e-6, abs=1e-9 * scale)
        # below the size of the sketch every quantile is exact
        assert [got.quantile(rank) for rank in (0.0, 0.3, 1.0)] == [want.quantile(rank) for rank in (0.0, 0.3, 1.0)]


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_the_numbers_are_those_of_numpy(values: list[float]) -> None:
    column = profile_of({"x": values}).column("x")

    scale = max(map(abs, values)) or 1.0
    assert column.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12 * scale)
    assert column.std == pytest.approx(np.std(values, ddof=1) if len(values) > 1 else 0.0, rel=1e-9, abs=1e-9 * scale)
    assert (column.min, column.max) == (min(values), max(values))
    assert sum(column.bins) == len(values)
    borders = [-math.inf, *column.edges, math.inf]
    counts = [sum(low <= value < high for value in values) for low, high in itertools.pairwise(borders)]
    assert list(column.bins) == counts


def test_bins_hold_about_equally_many_values_and_the_sketch_tells_quantiles() -> None:
    values = np.random.default_rng(0).lognormal(size=50_000)
    parts = np.array_split(values, 7)
    reference = profile_of({"x": values})

    merged = profile_of({"x": parts[0]}, like=reference)
    for part in parts[1:]:
        merged = merged.merge(profile_of({"x": part}, like=reference))
    column = merged.column("x")

    assert len(column.bins) == 20
    assert min(column.bins) > 0.03 * len(values)
    assert max(column.bins) < 0.07 * len(values)
    assert column.bins == reference.column("x").bins
    for rank in (0.01, 0.25, 0.5, 0.9, 0.99):
        assert float((values < column.quantile(rank)).mean()) == pytest.approx(rank, abs=0.02)
    assert len(reference.to_json()) < 10_000


def test_the_most_frequent_categories_are_kept_and_the_rest_is_counted() -> None:
    texts = [f"c{index:03}" for index in range(80) for _ in range(100 - index)] + [None] * 3

    column = profile_of({"t": texts}).column("t")

    assert list(column.categories)[:2] == ["c000", "c001"]
    assert (len(column.categories), column.categories["c049"]) == (50, 51)
    assert (column.missing, column.other) == (3, sum(100 - index for index in range(50, 80)))


def test_every_source_gives_the_same_profile(tmp_path: Path) -> None:
    rows = pa.table(
        {"x": pa.array([1, 2, None, 4], pa.int64()), "t": ["a", "b", None, "a"], "b": [True, None, False, True]}
    )
    pq.write_table(rows, tmp_path / "t.parquet")
    expected = profile_of(rows)

    assert profile_of(open_dataset(str(tmp_path / "t.parquet"))) == expected
    assert profile_of(iter(rows.to_batches())) == expected
    encoded = rows.set_column(1, "t", rows["t"].dictionary_encode())
    assert profile_of(encoded) == expected
    assert expected.column("b").categories == {"true": 2, "false": 1}
    assert [column.name for column in profile_of(rows, ["t"]).columns] == ["t"]
    assert expected.column("x").type == "int64"


def test_huge_numbers_have_no_mean_and_json_has_no_nan() -> None:
    profile = profile_of({"x": [1.7e308, 1.7e308, -1.0], "n": pa.nulls(3)})

    assert (profile.column("x").mean, profile.column("x").max) == (None, 1.7e308)
    assert (profile.column("n").missing, profile.column("n").bins, profile.column("n").mean) == (3, (0,), None)
    json.loads(profile.to_json(), parse_constant=pytest.fail)
    assert profile.merge(profile).column("x").mean is None


def test_profiles_that_count_different_things_do_not_merge() -> None:
    profile = profile_of({"x": [1.0, 2.0], "t": ["a", "b"]})

    with pytest.raises(ProfileMismatch, match="column x: the profiles differ in edges"):
        profile.merge(profile_of({"x": [7.0, 9.0], "t": ["a", "b"]}))
    with pytest.raises(ProfileMismatch, match="column t: the profiles differ in categories"):
        profile.merge(profile_of({"x": [1.0, 2.0], "t": ["z", "b"]}))
    with pytest.raises(ProfileMismatch, match="differ in columns"):
        profile.merge(profile_of({"x": [1.0, 2.0]}))
    with pytest.raises(ProfileMismatch, match="differ in kind"):
        profile_of({"x": ["text"], "t": ["a"]}, like=profile)
    with pytest.raises(ProfileMismatch, match="form"):
        ReferenceProfile.from_json("{}")
    with pytest.raises(ProfileMismatch, match="version"):
        ReferenceProfile.from_json(profile.to_json().replace("profile/1", "profile/9"))


def test_a_wrong_column_is_refused() -> None:
    with pytest.raises(ColumnMissing, match=r"Did you mean delay\?"):
        profile_of({"delay": [1]}, ["delai"])
    with pytest.raises(ColumnTypeWrong, match="timestamp"):
        profile_of({"when": pa.array([0], pa.timestamp("s"))})
    with pytest.raises(ColumnMissing):
        profile_of({"delay": [1]}).column("nothing")
