"""Weather of a place on the Swiss plateau: season, time of day and a slow random walk."""

from __future__ import annotations

from datetime import datetime
from math import cos, exp, pi, sqrt
from random import Random

from msgspec import Struct

LATITUDE, LONGITUDE = 46.80, 7.16
"""Fribourg, Switzerland: where the old project's building stands."""

_MEMORY_S = 6 * 3600.0
"""How long weather remembers (relaxation time of the random walk)."""


class Weather(Struct, frozen=True):
    """`warmer_c`: how much warmer than the season's usual; `clouds`: 0 clear to 1 overcast."""

    warmer_c: float = 0.0
    clouds: float = 0.5


class Outside(Struct, frozen=True):
    """Outdoor air."""

    temperature_c: float
    vapour_g_m3: float


def weather_after(weather: Weather, dt_s: float, rng: Random) -> Weather:
    """The weather `dt_s` later: an Ornstein-Uhlenbeck step, exact for any `dt_s`."""
    keep = exp(-dt_s / _MEMORY_S)
    spread = sqrt(1 - keep * keep)
    clouds = 0.5 + (weather.clouds - 0.5) * keep + 0.35 * spread * rng.gauss(0, 1)
    return Weather(warmer_c=weather.warmer_c * keep + 3.0 * spread * rng.gauss(0, 1), clouds=max(0.0, min(1.0, clouds)))


def outside_at(at: datetime, weather: Weather) -> Outside:
    """Outdoor air at an instant (UTC): mean 9.5 C, +-9.5 C over the year (coldest in late January), +-4 C over the day."""
    year = cos(2 * pi * (at.timetuple().tm_yday - 20) / 365.25)
    day = cos(2 * pi * (at.hour + at.minute / 60 + LONGITUDE / 15 - 15) / 24)
    temperature = 9.5 - 9.5 * year + 4 * day + weather.warmer_c
    return Outside(temperature_c=temperature, vapour_g_m3=saturation_g_m3(min(temperature, 4 - 5.5 * year)))


def saturation_g_m3(temperature_c: float) -> float:
    """Vapour in saturated air: Magnus formula (WMO-No. 8, Annex 4.B: 6.112 hPa, 17.62, 243.12 C) and the ideal gas law."""
    pressure_pa = 611.2 * exp(17.62 * temperature_c / (243.12 + temperature_c))
    return 2.16679 * pressure_pa / (273.15 + temperature_c)
