"""The Faust app of a role: the building's topics, batch lanes, tables and web views on loopback."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

import faust
import msgspec
from faust.auth import Credentials
from faust.web.drivers.aiohttp import Web
from yarl import URL

from streams.lane import Lane
from streams.log_watch import LogWatch
from streams.producer import log_id
from streams.pulse import SESSION_S, Pulse
from streams.settings import Settings
from streams.transport import Consumer, Transport

if TYPE_CHECKING:
    from streams.tables import RowTable

LOOPBACK = "127.0.0.1"
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
        """Subscribe the lanes' topics as an agent's would be."""
        await super().on_start()
        for lane in self.lanes.values():
            self.topics.add(lane.topic)

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
        broker_commit_interval=1.0,
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

    app.task(watch_logs)
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
