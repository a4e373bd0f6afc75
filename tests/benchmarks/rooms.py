"""Readings a second through the real rooms role, alone on one core, beside a plain confluent-kafka + dict loop on the same topic.

    python -m tests.benchmarks [--readings 1500000] [--rooms 100] [--restless] [--profile FILE]

Starts Kafka and the registry for itself, writes the topic once and pins each candidate to core 0, Kafka to the others. The role's
time ends when its offsets are committed, so it includes every row and command it wrote; the loop writes nothing at all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from msgspec.structs import replace

from infra.provision import create_topics
from streams.settings import Settings
from tests.conftest import start_services, stop_services, test_settings
from tests.folding import Load, codecs_of, committed, log_ends
from tests.processes import Running, home_of_its_own, role_part

_CORE = 0


def main() -> None:
    """Print both rates and their ratio."""
    options = argparse.ArgumentParser(description="Rooms role beside a plain loop, one core each.")
    options.add_argument("--readings", type=int, default=1_500_000)
    options.add_argument("--rooms", type=int, default=100)
    options.add_argument("--restless", action="store_true", help="random values: nearly every reading changes a rule's input")
    options.add_argument("--profile", type=Path, help="write a cProfile of the role's process there")
    chosen = options.parse_args()
    with home_of_its_own("bench") as home:
        services = start_services(replace(test_settings(home), database_url="postgresql://none.invalid/none"))
        try:
            _keep_off_the_core(services.broker.pid)
            _compare(services.settings, chosen)
        finally:
            stop_services(services.running)


def _keep_off_the_core(pid: int) -> None:
    others = sorted(os.sched_getaffinity(0) - {_CORE})
    if others:
        subprocess.run(["taskset", "-acp", ",".join(map(str, others)), str(pid)], check=True, capture_output=True)


def _compare(settings: Settings, chosen: argparse.Namespace) -> None:
    create_topics(settings.librdkafka)
    load = Load(settings, codecs_of(settings), rooms=chosen.rooms, seed=1)
    load.introduce()
    print(f"writing {chosen.readings:,} readings of {chosen.rooms} rooms", flush=True)
    (load.read if chosen.restless else load.live)(chosen.readings)
    load.flush()
    total = sum(log_ends(settings).values())
    plain = _plain_rate(settings, total, load.reading_header())
    _print("plain confluent-kafka + fastavro + dict", plain)
    role = _role_rate(settings, total, chosen.profile)
    _print("rooms role: fold, tables, commands", role)
    print(f"ratio {role.a_second / plain.a_second:.2f}; by CPU time, which other work on the machine disturbs less,"
          f" {role.a_cpu_second / plain.a_cpu_second:.2f}")  # fmt: skip


class Rate(NamedTuple):
    """Readings a second of the clock and a second of the process's CPU."""

    a_second: float
    a_cpu_second: float


def _print(what: str, rate: Rate) -> None:
    print(f"{what + ':':42}{rate.a_second:9,.0f} readings/s, {rate.a_cpu_second:9,.0f} a CPU second", flush=True)


def _plain_rate(settings: Settings, total: int, header: bytes) -> Rate:
    argv = _pinned((sys.executable, "-m", "tests.benchmarks.plain", settings.kafka, str(total), header.hex()))
    return Rate(*map(float, subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.split()))


def _role_rate(settings: Settings, total: int, profile: Path | None) -> Rate:
    part = role_part("rooms", settings)
    argv = part.argv if profile is None else (part.argv[0], "-m", "cProfile", "-o", str(profile), *part.argv[1:])
    worker = Running(replace(part, argv=_pinned(argv)), settings.home / "logs")
    try:
        worker.start()
        started, cpu = time.monotonic(), _cpu_s(worker)
        while (done := sum(committed(settings).values())) < total:
            time.sleep(0.05)
            if worker.process is None or worker.process.poll() is not None:
                raise SystemExit(worker.tail())
        return Rate(done / (time.monotonic() - started), done / (_cpu_s(worker) - cpu))
    finally:
        worker.stop(60)


def _cpu_s(worker: Running) -> float:
    assert worker.process is not None
    times = psutil.Process(worker.process.pid).cpu_times()
    return float(times.user + times.system)


def _pinned(argv: tuple[str, ...]) -> tuple[str, ...]:
    return ("taskset", "-c", str(_CORE), *argv)
