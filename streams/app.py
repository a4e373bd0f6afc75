"""The Faust app of a role: the building's topics, batch lanes, tables and web views on loopback."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import faust
import msgspec
from confluent_kafka import KafkaException
from faust.auth import Credentials
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from faust.web.drivers.aiohttp import Web
from yarl import URL

from streams.lane import Lane
from streams.log_watch import LogWatch
from streams.producer import log_id
from streams.pulse import SESSION_S, Pulse
from streams.settings import Settings
from streams.stall_watch import Look, Meter, watch_for_stalls
from streams.transport import Consumer, Transport

if TYPE_CHECKING:
    from streams.tables import RowTable

LOOPBACK = "127.0.0.1"
METADATA_AGE_MS: Final = 5_000
"""A broker only just up leaves topics out of its metadata, and a leader that shares out by it gives nobody anything until it asks
again: by default after five minutes."""
MAX_POLL_S: Final = 30 * 86_400.0
"""A member that has not fetched for so long leaves its group, and does not come back while there is nothing to fetch. One that
waits for the database or the registry must not, nor a spare one: heartbeats tell who lives, the stall watch who works."""
CRASHED_WITHIN_S = 15.0
"""A crashed worker has ended by then: its batches have had their `lane.DRAIN_S`."""


class ReadableWeb(Web):
    """Faust's web server, answering rows as plain JSON."""

    def json(self, value: Any, **options: Any) -> Any:
        """Respond with a value made of Structs, datetimes and plain things."""
        return super().json(msgspec.to_builtins(value, str_keys=True), **options)


class App(faust.App):
    """A faust.App with lanes, tables of rows and a pulse."""

    def __init__(self, *args: Any, log_watch: LogWatch, **options: Any) -> None:
        self.lanes: dict[str, Lane] = {}
        self.restores: dict[str, RowTable[Any]] = {}
        """Changelog topic to the table it restores."""
        self.read_topics: set[str] = set()
        """Topics whose being made anew ends this worker."""
        self.watches: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """Run from the start on: Faust begins an `app.task` only once the first recovery is over, which may be what hangs."""
        self.on_crash: Callable[[], None] = lambda: None
        """Called once a crash has begun."""
        self.log_watch = log_watch
        self.pulse = Pulse()
        super().__init__(*args, **options)

    @property
    def lane_consumer(self) -> Consumer:
        """The app's consumer as what it is."""
        return cast("Consumer", self.consumer)

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    def _new_web(self) -> Any:
        return ReadableWeb(self)

    async def on_first_start(self) -> None:
        """Make the directory Faust insists on."""
        self.conf.datadir.parent.mkdir(parents=True, exist_ok=True)
        await super().on_first_start()

    async def on_start(self) -> None:
        """Subscribe the lanes' topics as an agent's would be, and begin the watches."""
        await super().on_start()
        for lane in self.lanes.values():
            self.topics.add(lane.topic)
        for watch in self.watches:
            self.add_future(watch())

    async def look(self, meter: Meter) -> Look | None:
        """The worker and its group as they are now; None when Kafka does not answer."""
        consumer = self.lane_consumer
        try:
            owned = [tp for tp in consumer.assignment() if tp.topic in self.lanes]
        except ConsumerNotStarted:
            owned = []
        member, busy = self.pulse.alive, consumer.restoring or any(lane.attends for lane in self.lanes.values())
        held = any(lane.holds for lane in self.lanes.values())
        saved = {tp: self.lanes[tp.topic].saved.get(tp) for tp in owned if not self.lanes[tp.topic].in_hand(tp)}
        moved = self.consumer_generation_id, consumer.restored if self.in_recovery else 0  # else it reads on what its peers write
        try:
            waiting = await asyncio.to_thread(meter.waiting, owned or [TP(topic, 0) for topic in self.read_topics])
        except KafkaException as error:
            self.log.debug("not looked at: %r", error)
            return None
        idle = {tp: place for tp, place in saved.items() if waiting[tp]}
        return Look(member, idle, sum(waiting[tp] for tp in idle), busy, held, moved)

    async def crash(self, reason: BaseException) -> None:
        """Stop the worker for a reason."""
        self.on_crash()
        await super().crash(reason)

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        """An agent's bug stops the worker: a restarted agent would wait for ever behind its lost batch."""
        await super()._on_agent_error(agent, exc)
        for lane in self.lanes.values():
            await lane.fail(exc)


def create_app(role: str, settings: Settings, *, web_port: int | None = None) -> App:
    """The Faust app of a role; group and app id are `atrium-<role>`.

    `web_port` None: no web server. Topics must exist (`atrium prepare` makes them). `app.on_rebalance_complete` fires when the
    tables are recovered and consuming begins.
    """
    app = App(
        f"atrium-{role}",
        log_watch=LogWatch(partial(log_id, settings)),
        broker=[URL(f"kafka://{server.strip()}") for server in settings.kafka.split(",")],
        broker_credentials=_credentials(settings.kafka_client),
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=40.0,
        broker_rebalance_timeout=30.0,  # a worker gives its partitions up within `lane.DRAIN_S`
        broker_max_poll_interval=MAX_POLL_S,
        broker_commit_interval=1.0,
        consumer_metadata_max_age_ms=METADATA_AGE_MS,
        producer_request_timeout=5.0,  # half a session: what is not acknowledged by then has failed while we still own it
        producer_max_batch_size=512 * 1024,
        producer_compression_type="lz4",
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=web_port is not None,
        web_host=LOOPBACK,
        web_bind=LOOPBACK,
        web_port=web_port or 6066,
        canonical_url=f"http://{LOOPBACK}:{web_port or 6066}",
        datadir=str(settings.home / "faust" / role),
    )

    async def watch_logs() -> None:
        async with asyncio.TaskGroup() as watches:
            for topic in app.read_topics:
                watches.create_task(app.log_watch.watch(topic, app.crash))

    async def watch_stalls() -> None:
        await watch_for_stalls(partial(app.look, Meter(settings, app.conf.id)), app.crash)

    app.watches = [watch_logs, watch_stalls]
    return app


def end_for_sure() -> None:
    """End the process soon, whatever hangs: Faust's stop can wait for ever for a recovery that was under way when it crashed.

    Everything a role does bears a kill; a worker that is neither up nor down would be missed by nobody.
    """
    timer = threading.Timer(CRASHED_WITHIN_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


def run(app: App, *, log_level: str = "INFO") -> NoReturn:
    """Run an app in this process until SIGINT or SIGTERM; a crash is raised, or ends the process within `CRASHED_WITHIN_S`."""
    app.on_crash = end_for_sure
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(app, loop=loop, loglevel=log_level, redirect_stdouts=False).execute_from_commandline()


def _credentials(client: dict[str, str]) -> Credentials | None:
    """Faust's credentials for the same settings librdkafka gets, as `read_settings` has checked them."""
    protocol = client.get("security.protocol", "PLAINTEXT")
    tls = _tls(client) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL_"):
        return faust.SASLCredentials(
            mechanism=client["sasl.mechanism"],
            username=client["sasl.username"],
            password=client["sasl.password"],
            ssl_context=tls,
        )
    return faust.SSLCredentials(tls) if protocol == "SSL" else None


def _tls(client: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
    if certificate := client.get("ssl.certificate.location"):
        context.load_cert_chain(certificate, client.get("ssl.key.location"), client.get("ssl.key.password"))
    return context
