"""A point in time as an option."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class Instant(click.ParamType):
    """An instant in ISO 8601; without an offset it is this machine's local time."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant (UTC)."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time such as 2026-03-02T12:00 or 2026-03-02T11:00:00Z", param, ctx)
