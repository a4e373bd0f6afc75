"""The pauses of a part that ends again and again."""

from __future__ import annotations

import pytest

from infra.child import pause_s


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (6, 16.0), (7, 30.0), (1025, 30.0), (100_000, 30.0)])
def test_a_part_that_fails_for_days_is_still_started_again(failures: int, seconds: float) -> None:
    assert pause_s(failures) == seconds
