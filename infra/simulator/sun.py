"""Where the sun stands and how much light it gives.

Position after Meeus, Astronomical Algorithms, 2nd ed. (1998), chapters 22 and 25, low accuracy (0.01 degrees), as in the
NOAA Solar Calculator. Light after the IES clear and overcast sky formulas (IES RP-21, Calculation of Daylight Availability, 1984).
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import acos, asin, atan2, cos, degrees, exp, log, radians, sin, sqrt, tan

from msgspec import Struct

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_DAY_S = 86_400.0
SOLAR_LX = 127_500.0
"""Illuminance of the sun outside the atmosphere (IES RP-21)."""


class Sun(Struct, frozen=True):
    """Degrees; `azimuth` clockwise from north; `elevation` of the centre, without refraction."""

    elevation: float
    azimuth: float


def declination_and_equation_of_time(at: datetime) -> tuple[float, float]:
    """Apparent declination in degrees, equation of time in minutes."""
    t = (at - _J2000).total_seconds() / _DAY_S / 36_525
    longitude = 280.46646 + t * (36_000.76983 + 0.0003032 * t)
    anomaly = radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    centre = (
        (1.914602 - t * (0.004817 + 0.000014 * t)) * sin(anomaly)
        + (0.019993 - 0.000101 * t) * sin(2 * anomaly)
        + 0.000289 * sin(3 * anomaly)
    )
    node = radians(125.04 - 1934.136 * t)
    apparent = radians(longitude + centre - 0.00569 - 0.00478 * sin(node))
    obliquity = radians(23.439291 - 0.0130042 * t + 0.00256 * cos(node))
    declination = degrees(asin(sin(obliquity) * sin(apparent)))
    y, mean = tan(obliquity / 2) ** 2, radians(longitude)
    equation = (
        y * sin(2 * mean)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * y * sin(anomaly) * cos(2 * mean)
        - 0.5 * y * y * sin(4 * mean)
        - 1.25 * eccentricity**2 * sin(2 * anomaly)
    )
    return declination, 4 * degrees(equation)


def sun_at(at: datetime, latitude: float, longitude: float) -> Sun:
    """The sun's place in the sky; degrees, north and east positive."""
    declination, equation = declination_and_equation_of_time(at)
    utc = at.astimezone(UTC)
    minutes = (utc - utc.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() / 60
    hour_angle = radians((minutes + equation + 4 * longitude) / 4 - 180)
    phi, delta = radians(latitude), radians(declination)
    cos_zenith = sin(phi) * sin(delta) + cos(phi) * cos(delta) * cos(hour_angle)
    azimuth = atan2(sin(hour_angle), cos(hour_angle) * sin(phi) - tan(delta) * cos(phi))
    return Sun(elevation=90 - degrees(acos(max(-1.0, min(1.0, cos_zenith)))), azimuth=(degrees(azimuth) + 180) % 360)


def direct_normal_lx(sun: Sun, clouds: float) -> float:
    """Beam light on a surface facing the sun; `clouds` 0 clear to 1 overcast (IES RP-21: extinction 0.21 clear)."""
    height = sin(radians(sun.elevation))
    if height <= 0.01:
        return 0.0
    return SOLAR_LX * exp(-0.21 / height) * (1 - clouds)


def diffuse_lx(sun: Sun, clouds: float) -> float:
    """Sky light on the horizontal; below the horizon twilight falls tenfold every 2.9 degrees (3 lx at civil dusk, -6)."""
    if sun.elevation <= 0:
        return 400.0 * exp(sun.elevation / 2.9 * log(10))
    height = sin(radians(sun.elevation))
    return max(400.0, (1 - clouds) * (800 + 15_500 * sqrt(height)) + clouds * (300 + 21_000 * height))


def facing(sun: Sun, facade_azimuth: float) -> float:
    """Cosine of the angle between the sun and a wall's normal; 0 when the sun is behind the wall."""
    if sun.elevation <= 0:
        return 0.0
    return max(0.0, cos(radians(sun.elevation)) * cos(radians(sun.azimuth - facade_azimuth)))
