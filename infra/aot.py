"""Java's ahead-of-time cache (JEP 483, 514): one training run during setup halves every later start of Kafka and of the registry.

A cache belongs to one Java and one set of jars; where it does not fit, Java says so and starts without it.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from infra.java import Packages
from infra.kafka import kafka_part
from infra.part import Part, in_child, open_log
from infra.ports import is_free
from infra.schema_registry import registry_part

_READY_WITHIN_S = 90.0
_WRITTEN_WITHIN_S = 120.0


def train(packages: Packages, name: str) -> bool:
    """Run the program once, use it a little, end it, and let Java write down what it loaded; whether a cache came of it."""
    cache = packages.aot_cache(name)
    if cache.exists():
        return True
    partial = cache.with_suffix(".partial")
    with tempfile.TemporaryDirectory(prefix="atrium-training-", ignore_cleanup_errors=True) as folder:
        part, exercise = _candidate(packages, name, Path(folder), f"-XX:AOTCacheOutput={partial}")
        if not _run(part, exercise, Path(folder)) or not partial.exists():
            return False
    partial.replace(cache)
    return True


def _candidate(packages: Packages, name: str, home: Path, option: str) -> tuple[Part, Callable[[], object]]:
    port, other = random.sample([port for port in random.sample(range(20000, 32000), 50) if is_free(port)], 2)
    if name == "kafka":
        part = kafka_part(home, packages, port, other, java_options=(option,))
        return part, lambda: _use_kafka(f"127.0.0.1:{port}")
    part, url = registry_part(home, packages, port, java_options=(option,))
    return part, lambda: _use_registry(url)


def _run(part: Part, exercise: Callable[[], object], folder: Path) -> bool:
    if part.prepare is not None:
        part.prepare()
    log = open_log(folder, part.name)
    process = subprocess.Popen(
        part.argv, env=part.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=in_child(part, os.getpid())
    )
    os.close(log)
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while part.ready is not None and not part.ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        exercise()
        process.send_signal(part.stop_signal)
        process.wait(_WRITTEN_WITHIN_S)
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()
    return True


def _use_kafka(bootstrap: str) -> None:
    from confluent_kafka import Consumer, Producer

    from infra.provision import create_topics
    from streams.topics import DEAD_LETTERS

    client = {"bootstrap.servers": bootstrap, "log_level": 2}  # a broker this young answers "not yet" a few times
    create_topics({"bootstrap.servers": bootstrap}, [DEAD_LETTERS])
    producer = Producer({**client, "enable.idempotence": True})
    producer.produce(DEAD_LETTERS.name, b"training")
    producer.flush(10)
    consumer = Consumer({**client, "group.id": "training", "auto.offset.reset": "earliest"})
    consumer.subscribe([DEAD_LETTERS.name])
    message = consumer.poll(10)
    if message is not None:
        consumer.commit(asynchronous=False)
    consumer.close()


def _use_registry(url: str) -> None:
    from streams.registry import register_all

    asyncio.run(register_all(url))
