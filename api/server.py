"""The role `api`: the application on loopback, its replica fed from Kafka, its intents acknowledged by Kafka."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import UTC, datetime

from aiohttp import web
from confluent_kafka import KafkaException

from api.app import create_app
from api.follower import Follower
from api.intents import KafkaIntents
from api.neighbours import neighbours_of
from api.replica import Replica
from schemas.errors import RegistryUnavailable
from streams.notify import notify
from streams.policy_documents import PolicyDocuments
from streams.producer import Producer, log_id
from streams.registry import register_all
from streams.settings import BadSetting, Settings
from streams.topics import ROOM_EVENTS

HOST = "127.0.0.1"
DEFAULT_PORT = 8080
_ACK_TIMEOUT_S = 10.0
_RETRY_S = 1.0
_HEALTH_EVERY_S = 1.0
_GOODBYE_S = 3.0
log = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Serve until told to stop by SIGTERM or SIGINT. Raises `BadSetting` when the port cannot be had."""
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Listen at once (503 until caught up), follow Kafka, say when ready."""
    replica, intents, neighbours = Replica(), KafkaIntents(), neighbours_of(settings)
    policies = PolicyDocuments(settings.database_url) if settings.database_url else None
    runner = web.AppRunner(
        create_app(replica, intents, utc_now, neighbours=neighbours, policies_in=policies),
        access_log=None,
        shutdown_timeout=_GOODBYE_S,
    )
    await runner.setup()
    port = settings.api_port or DEFAULT_PORT
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise BadSetting(f"ATRIUM_API_PORT={port}: cannot listen there: {error}") from error
    log.info("listening on http://%s:%d/", HOST, port)
    told = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    work = [asyncio.create_task(each) for each in (_follow(settings, replica, intents), _report(replica), neighbours.watch())]
    stop = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({*work, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await runner.cleanup()
        for task in (*work, stop):
            task.cancel()
        ended = await asyncio.gather(*work, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


async def _follow(settings: Settings, replica: Replica, intents: KafkaIntents) -> None:
    while True:
        try:
            codecs = await register_all(settings.registry)
            room_log = await log_id(settings, ROOM_EVENTS.name)
            break
        except (RegistryUnavailable, KafkaException, TimeoutError) as error:
            replica.trouble = f"waiting for Kafka and the schema registry: {error}"
            log.warning("%s", replica.trouble)
            await asyncio.sleep(_RETRY_S)
    producer = Producer(settings, timeout_s=_ACK_TIMEOUT_S)
    intents.open(producer, codecs, room_log)
    try:
        await Follower(settings, codecs, lambda now: intents.open(producer, codecs, now), replica, utc_now).run()
    finally:
        await producer.close()


async def _report(replica: Replica) -> None:
    """Tell the supervisor: ready once, and what is wrong whenever that changes."""
    ready, told = False, ""
    while True:
        status = "; ".join(replica.reasons())
        if replica.caught_up and not ready:
            ready = True
            notify(ready=True)
        if status != told:
            told = status
            notify(status=status)
        await asyncio.sleep(_HEALTH_EVERY_S if ready else _HEALTH_EVERY_S / 10)


def utc_now() -> datetime:
    """Now, aware."""
    return datetime.now(UTC)
