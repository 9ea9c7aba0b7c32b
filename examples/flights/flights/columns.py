"""The columns that the model knows; free of libraries, because the server needs nothing but these names."""

SCHEDULE = (
    "carrier",
    "origin",
    "destination",
    "weekday",
    "departure_minute",
    "arrival_minute",
    "distance",
    "block_minutes",
    "hour_flights",
    "hour_carrier_flights",
)
"""From the timetable: weekdays from 0 for Monday, local minutes since midnight, flights in the same hour."""

AIRCRAFT = ("seats", "aircraft_age")

WEATHER = (
    "temperature",
    "dew_point",
    "humidity",
    "wind_direction",
    "wind_speed",
    "wind_gust",
    "precipitation",
    "pressure",
    "visibility",
)
"""The latest observation at the airport at least one hour before the scheduled departure."""

BOARD = (
    "airport_delay",
    "airport_late_share",
    "airport_waiting",
    "carrier_delay",
    "carrier_late_share",
    "carrier_waiting",
    "aircraft_delay",
)
"""What the departure board showed about other flights, one hour before the scheduled departure."""

FEATURES = SCHEDULE + AIRCRAFT + WEATHER + BOARD
TEXT = ("carrier", "origin", "destination")
LABEL = "late"
KEY = "flight_id"
