"""What is known about a flight one hour before it is due to leave.

Everything here is computed from the moment `known_at`, one hour before the scheduled departure: the timetable, the
aircraft, the weather seen until then, and what the departure board showed at that moment. Nothing about the flight's
own departure or arrival is used.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from flights.columns import BOARD, FEATURES, WEATHER

NOTICE = pd.Timedelta(hours=1)
BOARD_WINDOW = pd.Timedelta(hours=2)
LONGEST_WAIT = pd.Timedelta(hours=4)
NEVER = pd.Timestamp("2100-01-01", tz="UTC")
LATE_MINUTES = 15


def all_features(
    flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame
) -> pd.DataFrame:
    """Return `FEATURES` of every scheduled flight, cancelled ones included: beforehand nobody knows."""
    flights = flights.assign(
        departure=flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min"),
        destination=flights["dest"],
    )
    flights["known_at"] = flights["departure"] - NOTICE
    flights["left_at"] = flights["departure"] + pd.to_timedelta(flights["dep_delay"], unit="min")
    parts = [
        schedule(flights, airports),
        aircraft(flights, planes),
        weather_before(flights, weather),
        board_before(flights),
    ]
    return pd.concat(parts, axis=1)[list(FEATURES)]


def schedule(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Return what the timetable says."""
    date = pd.to_datetime(flights[["year", "month", "day"]])
    arrival = flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100
    hour = [flights["origin"], flights["time_hour"]]
    return pd.DataFrame(
        {
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "destination": flights["destination"],
            "weekday": date.dt.day_of_week,
            "departure_minute": flights["hour"] * 60 + flights["minute"],
            "arrival_minute": arrival,
            "distance": flights["distance"],
            "block_minutes": (arrival - _minute_at_destination(flights, airports)) % 1440,
            "hour_flights": flights.groupby(hour)["flight"].transform("size"),
            "hour_carrier_flights": flights.groupby([*hour, flights["carrier"]])["flight"].transform("size"),
        }
    )


def _minute_at_destination(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.Series:
    """Return the clock at the destination when the flight is due to leave, in minutes; NaN where it is unknown."""
    zones = flights["destination"].map(airports.set_index("faa")["tzone"])
    minutes = pd.Series(np.nan, index=flights.index)
    for zone, rows in flights.groupby(zones):
        local = rows["departure"].dt.tz_convert(str(zone))
        minutes[rows.index] = local.dt.hour * 60 + local.dt.minute
    return minutes


def aircraft(flights: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Return seats and age of the aircraft, as far as the register knows it."""
    register = planes.set_index("tailnum")
    built = flights["tailnum"].map(register["year"])
    return pd.DataFrame({"seats": flights["tailnum"].map(register["seats"]), "aircraft_age": flights["year"] - built})


def weather_before(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Return the latest observation at the airport at or before `known_at`.

    Both clocks are UTC (`time_hour`), so that the two changes of daylight saving time move nothing.
    """
    seen = weather.rename(
        columns={"temp": "temperature", "dewp": "dew_point", "humid": "humidity", "wind_dir": "wind_direction"}
        | {"precip": "precipitation", "visib": "visibility", "time_hour": "seen_at"}
    )
    asked = flights[["origin", "known_at"]].reset_index().sort_values("known_at", kind="stable")
    joined = pd.merge_asof(
        asked,
        seen[["origin", "seen_at", *WEATHER]].sort_values("seen_at"),
        left_on="known_at",
        right_on="seen_at",
        by="origin",
    )
    return joined.set_index("index")[list(WEATHER)].reindex(flights.index)


def board_before(flights: pd.DataFrame) -> pd.DataFrame:
    """Return what the departure board showed at `known_at`.

    ``delay`` and ``late_share`` are about the flights that left in the two hours before, ``waiting`` counts those
    that were due in the four hours before and had not left yet, whatever became of them later.
    ``aircraft_delay`` is the delay with which this very aircraft last left one of the airports in the half day before.
    """
    board = pd.DataFrame(index=flights.index, columns=list(BOARD), dtype=float)
    for prefix, keys in (("airport", ["origin"]), ("carrier", ["origin", "carrier"])):
        columns = [f"{prefix}_delay", f"{prefix}_late_share", f"{prefix}_waiting"]
        for _, rows in flights.groupby(keys):
            board.loc[rows.index, columns] = _board_of(rows)
    board["aircraft_delay"] = _aircraft_delay(flights)
    return board


def _board_of(flights: pd.DataFrame) -> np.ndarray:
    asked = _seconds(flights["known_at"])
    left = flights[flights["left_at"].notna()].sort_values("left_at")
    times, delays = _seconds(left["left_at"]), left["dep_delay"].to_numpy()
    until = np.searchsorted(times, asked, side="right")
    since = np.searchsorted(times, asked - BOARD_WINDOW.total_seconds(), side="right")
    count = np.where(until > since, until - since, np.nan)
    due = _seconds(flights["departure"])
    left_at = _seconds(flights["left_at"].fillna(NEVER))
    gone = np.minimum(np.maximum(left_at, due), due + LONGEST_WAIT.total_seconds())
    waiting = np.searchsorted(np.sort(due), asked, side="right") - np.searchsorted(np.sort(gone), asked, side="right")
    return np.column_stack(
        [
            _sum_between(delays, since, until) / count,
            _sum_between(delays > LATE_MINUTES, since, until) / count,
            waiting,
        ]
    )


def _sum_between(values: np.ndarray, since: np.ndarray, until: np.ndarray) -> np.ndarray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[until] - total[since])


def _seconds(times: pd.Series) -> np.ndarray:
    """Return seconds since 1970, NaN for none."""
    return np.asarray((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=float)


def _aircraft_delay(flights: pd.DataFrame) -> pd.Series:
    left = flights.loc[flights["left_at"].notna() & flights["tailnum"].notna(), ["tailnum", "left_at", "dep_delay"]]
    asked = flights[["tailnum", "known_at"]].reset_index().sort_values("known_at", kind="stable")
    joined = pd.merge_asof(
        asked,
        left.sort_values("left_at"),
        left_on="known_at",
        right_on="left_at",
        by="tailnum",
        tolerance=pd.Timedelta(hours=12),
    )
    return joined.set_index("index")["dep_delay"].reindex(flights.index)
