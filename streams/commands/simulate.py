"""`atrium simulate`: a winter in many rooms, under the naive rules and under ours."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from streams.commands.common import tell_errors


@click.command()
@click.option("--rooms", type=click.IntRange(1, 10_000), default=200, show_default=True)
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same winter.")
@click.option("--every", "step_s", type=click.IntRange(10, 240), default=120, show_default=True, help="Seconds between reports.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the comparison as SVG.")
@tell_errors
def simulate(rooms: int, days: int, seed: int, step_s: int, plot: Path | None) -> None:
    """Live a winter in simulated rooms, with the fold of the running building and no Kafka; print commands, comfort, heat.

    Each room lives it twice with the same weather and people: under the naive rules of the 2020 project, and under the default
    policy.
    """
    from infra.simulation.tell import markdown, svg
    from infra.simulation.winter import simulate as live

    def tell(done: int, of: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {of} rooms", nl=done == of, err=True)

    outcome = live(rooms, days, seed, step_s, tell)
    click.echo(markdown(outcome), nl=False)
    click.echo(
        f"{rooms} rooms, {days} days, seed {seed}, a report every {step_s} s: {outcome.ours.events:,} events folded in"
        f" {outcome.ours.took_s:.0f} s, physics included: {outcome.times_real:,.0f} x real time"
    )
    if plot is not None:
        plot.write_text(svg(outcome), encoding="utf-8")
        click.echo(f"drawn into {plot}")
