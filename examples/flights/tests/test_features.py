"""The features know nothing of a flight's own departure, and the clocks are right."""

import numpy as np
import pandas as pd
import pytest
from flights.columns import BOARD, FEATURES
from flights.data import read
from flights.features import all_features


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {name: read(name) for name in ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv")}


@pytest.fixture(scope="module")
def march(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    flights = tables["flights.csv.zip"]
    return flights[(flights["month"] == 3) & flights["day"].between(8, 11)].reset_index(drop=True)


@pytest.fixture(scope="module")
def features(march: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return made(march, tables)


def made(flights: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return all_features(flights, *(tables[name] for name in ("weather.csv", "planes.csv", "airports.csv")))


def test_what_happens_to_a_flight_does_not_change_its_own_features(
    march: pd.DataFrame, features: pd.DataFrame, tables: dict[str, pd.DataFrame]
) -> None:
    departure = march["time_hour"] + pd.to_timedelta(march["minute"], unit="min")
    chosen = march.index[march["dep_delay"] > 90][20]
    changed = march.copy()
    outcome = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    changed.loc[chosen, outcome] = np.nan
    after = made(changed, tables)
    pd.testing.assert_series_equal(after.loc[chosen], features.loc[chosen])
    # Others see the change, but only those that are due at least an hour later.
    differs = ((after != features) & ~(after.isna() & features.isna())).any(axis=1)
    assert differs.any()
    assert (departure[differs] >= departure[chosen] + pd.Timedelta(hours=1)).all()


def test_the_future_changes_nothing(
    march: pd.DataFrame, features: pd.DataFrame, tables: dict[str, pd.DataFrame]
) -> None:
    """Features of a flight are the same when all that left after its known_at is struck from the record."""
    departure = march["time_hour"] + pd.to_timedelta(march["minute"], unit="min")
    for chosen in (300, 900, 1500):
        known_at = departure[chosen] - pd.Timedelta(hours=1)
        left = departure + pd.to_timedelta(march["dep_delay"], unit="min")
        past = march.copy()
        past.loc[left > known_at, ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]] = np.nan
        weather = tables["weather.csv"]
        then = {**tables, "weather.csv": weather[weather["time_hour"] <= known_at]}
        pd.testing.assert_series_equal(made(past, then).loc[chosen], features.loc[chosen])


def test_weather_is_the_latest_at_least_an_hour_before(
    march: pd.DataFrame, features: pd.DataFrame, tables: dict[str, pd.DataFrame]
) -> None:
    weather = tables["weather.csv"]
    for index in (0, 500, 1200, 2500):
        flight = march.loc[index]
        known_at = flight["time_hour"] + pd.Timedelta(minutes=flight["minute"]) - pd.Timedelta(hours=1)
        seen = weather[(weather["origin"] == flight["origin"]) & (weather["time_hour"] <= known_at)]
        latest = seen.loc[seen["time_hour"].idxmax()]
        assert features.loc[index, "temperature"] == latest["temp"]
        assert features.loc[index, "visibility"] == latest["visib"]


def test_the_spring_change_of_clocks_is_followed(march: pd.DataFrame, features: pd.DataFrame) -> None:
    """On 10 March 2013 clocks went forward: 6:00 in New York was 11:00 UTC the day before, 10:00 that day."""
    morning = march[(march["hour"] == 6) & (march["day"].isin([9, 10]))]
    hours = morning.groupby("day")["time_hour"].first().dt.hour
    assert hours.to_dict() == {9: 11, 10: 10}
    assert (features.loc[morning.index, "departure_minute"] // 60 == 6).all()
    # To a destination without summer time the same flight takes an hour more by the clock, not in the air.
    phoenix = march[(march["dest"] == "PHX")]
    block = features.loc[phoenix.index, "block_minutes"].groupby(phoenix["day"]).median()
    assert block.max() - block.min() < 20


def test_the_board_counts_what_it_shows() -> None:
    times = pd.to_datetime(["2013-07-01T12:00Z"] * 4 + ["2013-07-01T14:00Z"])
    flights = pd.DataFrame(
        {
            "year": 2013,
            "month": 7,
            "day": 1,
            "hour": [8, 8, 8, 8, 10],
            "minute": [0, 10, 20, 30, 0],
            "time_hour": times,
            "sched_arr_time": 1200,
            "carrier": ["UA", "UA", "B6", "UA", "UA"],
            "flight": [1, 2, 3, 4, 5],
            "tailnum": ["N1", "N2", "N3", "N4", "N1"],
            "origin": "EWR",
            "dest": "ORD",
            "distance": 719,
            "dep_delay": [10.0, 20.0, np.nan, 45.0, 0.0],
            "arr_delay": 0.0,
        }
    )
    weather = pd.DataFrame({"origin": ["EWR"], "time_hour": times[:1] - pd.Timedelta(hours=2)})
    columns = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    weather[columns] = 1.0
    planes = pd.DataFrame({"tailnum": ["N1"], "year": [2000.0], "seats": [180]})
    airports = pd.DataFrame({"faa": ["ORD"], "tzone": ["America/Chicago"]})
    last = all_features(flights, weather, planes, airports).iloc[-1]
    # At 9:00 two have left, ten and twenty minutes late; the cancelled one and the one that leaves at 9:15 wait.
    board = dict(zip(BOARD, last[list(BOARD)], strict=True))
    assert board == {
        "airport_delay": 15.0,
        "airport_late_share": 0.5,
        "airport_waiting": 2.0,
        "carrier_delay": 15.0,
        "carrier_late_share": 0.5,
        "carrier_waiting": 1.0,
        "aircraft_delay": 10.0,
    }
    assert (last["seats"], last["aircraft_age"], last["block_minutes"]) == (180, 13, 180)
    assert last["hour_flights"] == 1


def test_all_features_are_there(features: pd.DataFrame) -> None:
    assert tuple(features.columns) == FEATURES
    assert features["carrier"].notna().all()
