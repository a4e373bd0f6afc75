"""The sun against published values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.simulator.sun import Sun, declination_and_equation_of_time, diffuse_lx, direct_normal_lx, facing, sun_at


def test_declination_is_that_of_meeus_example_25a() -> None:
    declination, equation = declination_and_equation_of_time(datetime(1992, 10, 13, tzinfo=UTC))
    assert declination == pytest.approx(-7.78507, abs=0.005)
    assert equation == pytest.approx(13.71, abs=0.05)  # Meeus, example 28.b: 13 min 42.6 s


def test_position_is_that_of_nrels_spa_example() -> None:
    """Reda & Andreas, NREL/TP-560-34302, appendix A.5: 39.872046 degrees before refraction, azimuth 194.340241."""
    sun = sun_at(datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC), 39.742476, -105.1786)
    assert sun.elevation == pytest.approx(39.872046, abs=0.02)
    assert sun.azimuth == pytest.approx(194.340241, abs=0.02)


@pytest.mark.parametrize(
    ("at", "elevation"),
    [
        (datetime(2026, 6, 21, 11, 33, tzinfo=UTC), 90 - 46.8 + 23.44),  # solstice noons of Fribourg
        (datetime(2026, 12, 21, 11, 29, tzinfo=UTC), 90 - 46.8 - 23.44),
    ],
)
def test_noon_at_the_solstices_stands_at_the_colatitude_plus_or_minus_the_tilt(at: datetime, elevation: float) -> None:
    assert sun_at(at, 46.8, 7.16).elevation == pytest.approx(elevation, abs=0.05)


def test_light_falls_from_noon_to_night_and_under_clouds() -> None:
    lights = [diffuse_lx(Sun(elevation, 180), 0.5) for elevation in (60, 30, 10, 0, -3, -6, -12)]
    assert lights == sorted(lights, reverse=True)
    assert diffuse_lx(Sun(-6, 300), 0.0) == pytest.approx(3.4, abs=0.2)
    assert direct_normal_lx(Sun(40, 180), 0.0) > 80_000
    assert direct_normal_lx(Sun(40, 180), 1.0) == 0
    assert direct_normal_lx(Sun(-1, 180), 0.0) == 0


def test_a_wall_sees_only_the_sun_before_it() -> None:
    assert facing(Sun(0.1, 135), 135) == pytest.approx(1, abs=0.01)
    assert facing(Sun(20, 315), 135) == 0
    assert facing(Sun(-5, 135), 135) == 0
