"""The role `directory`: what PostgreSQL says of rooms, beacons, devices and policies, Kafka says within moments of the commit.

PostgreSQL notifies of every change (`infra/migrations/0004_directory.sql`); the role then compares the whole and writes what
differs. A notification says nothing but «look», so none can be misread; one that is missed is made good by the comparison that
comes every `directory_reconcile_s` and after every reconnection, from the topics' beginning.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import asyncpg
from confluent_kafka import KafkaException

from agents.building import Building
from agents.carrying import Published, carry
from schemas.codecs import Codecs
from schemas.errors import RegistryUnavailable
from streams.database import DatabaseUnavailable, LockHeld, connect, exclusive, locked
from streams.notify import notify
from streams.producer import Producer, SendFailed
from streams.registry import register_all, register_until_done
from streams.settings import Settings

CHANNEL = "building_changed"
_DEBOUNCE_S = 0.03  # commits that come together are carried together
_LOOK_EVERY_S = 5.0  # a database that went without a word is noticed
_STATEMENT_TIMEOUT_S = 10.0
_ACK_TIMEOUT_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_POSTGRES = (DatabaseUnavailable, LockHeld, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_KAFKA = (KafkaException, SendFailed)
_logger = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Run the role until it is told to stop."""
    asyncio.run(_until_told(settings))


async def fill(settings: Settings) -> None:
    """Once, before the roles start; the devices of the simulated building leave their rooms and enter anew.

    Raises `DatabaseUnavailable`, `RegistryUnavailable`, `SendFailed`, `KafkaException`.
    """
    codecs = await register_all(settings.registry)
    published, producer = Published(settings, codecs), Producer(settings)
    try:
        async with exclusive(settings.database) as db:
            _, written = await carry(db, published, producer, codecs, anew_simulated=True)
    finally:
        await producer.close()
        await published.close()
    _logger.info("directory: %d records written to Kafka", written)


async def _until_told(settings: Settings) -> None:
    work = asyncio.create_task(Directory(settings).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()  # a bug, with its place


class Directory:
    """Carries until cancelled, through outages of PostgreSQL, Kafka and the registry; only a bug ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._news = asyncio.Event()
        self._pause_s = _FIRST_PAUSE_S

    async def run(self) -> None:
        """Serve; after any trouble say so, wait a little, begin anew."""
        codecs = await register_until_done(self._settings.registry)
        producer = Producer(self._settings, timeout_s=_ACK_TIMEOUT_S)
        try:
            while True:
                try:
                    await self._serve(codecs, producer)
                except (*_POSTGRES, *_KAFKA, RegistryUnavailable) as error:  # TimeoutError is an OSError
                    self._tell(error)
                    await asyncio.sleep(self._pause_s)
                    self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        finally:
            await producer.close()

    async def _serve(self, codecs: Codecs, producer: Producer) -> None:
        """Listen, then compare and carry: at once, on every notification, and anew from the topics' beginning every so often."""
        db = await connect(self._settings.database, statement_timeout_s=_STATEMENT_TIMEOUT_S)
        try:
            db.add_termination_listener(self._hear)
            await db.add_listener(CHANNEL, self._hear)
            while True:
                await self._serve_a_while(db, codecs, producer)
        finally:
            db.terminate()

    async def _serve_a_while(self, db: asyncpg.Connection, codecs: Codecs, producer: Producer) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.directory_reconcile_s
        published = Published(self._settings, codecs)
        try:
            while True:
                self._news.clear()
                async with locked(db):
                    building, written = await carry(db, published, producer, codecs)
                if written:
                    _logger.info("%d records written to Kafka", written)
                self._pause_s = _FIRST_PAUSE_S
                notify(ready=True, status=_complaint(building))
                if not await self._news_before(until, db):
                    return
        finally:
            await published.close()

    async def _news_before(self, until: float, db: asyncpg.Connection) -> bool:
        """Wait for a notification; whether one came in time."""
        while (left_s := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(self._news.wait(), min(left_s, _LOOK_EVERY_S))
            except TimeoutError:
                await db.execute("SELECT 1")
            else:
                await asyncio.sleep(_DEBOUNCE_S)
                return True
        return False

    def _hear(self, *_: Any) -> None:
        self._news.set()

    def _tell(self, error: BaseException) -> None:
        away = (
            "Kafka"
            if isinstance(error, _KAFKA)
            else "the schema registry"
            if isinstance(error, RegistryUnavailable)
            else "PostgreSQL"
        )
        status = f"waiting for {away}: {str(error) or type(error).__name__}"
        _logger.warning("%s", status)
        notify(status=status)


def _complaint(building: Building) -> str:
    unusable = sorted(room_id for room_id, policy in building.policies.items() if policy is None)
    return f"policies that cannot be used, of rooms {', '.join(unusable)}: see the log" if unusable else ""
