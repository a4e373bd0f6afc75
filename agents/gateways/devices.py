"""The devices there are: the compacted topic building.devices, followed by a consumer of its own while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from schemas.codecs import Codecs
from schemas.errors import Undecodable, UnknownSchema
from schemas.records import Device
from streams.decoding import decode
from streams.settings import Settings
from streams.topics import DEVICES

_POLL_S = 0.5
_RETRY_S = 1.0
_logger = logging.getLogger(__name__)


class Devices:
    """Devices by id, kept current. `on_change` is called after each change that comes once the topic has been read to its end."""

    def __init__(self, settings: Settings, codecs: Codecs, on_change: Callable[[], None]) -> None:
        self._settings, self._codecs, self._on_change = settings, codecs, on_change
        self._devices: dict[int, Device] = {}
        self._changed = asyncio.Condition()
        self._records: asyncio.Queue[Message | None] = asyncio.Queue()
        self._stop = threading.Event()

    def get(self, device_id: int) -> Device | None:
        """The device, or None where there is none."""
        return self._devices.get(device_id)

    def all(self) -> list[Device]:
        """Every device."""
        return list(self._devices.values())

    async def wait_for(self, device_id: int, fits: Callable[[Device | None], bool], within_s: float) -> Device | None:
        """The device, as soon as it fits: a room may hear of a new or moved device a moment earlier than we do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: fits(self._devices.get(device_id)))
        return self._devices.get(device_id)

    async def follow(self, loaded: asyncio.Event) -> None:
        """Read the topic to its end, set `loaded`, and go on for ever."""
        loop = asyncio.get_running_loop()

        def hand_over(message: Message | None) -> None:
            loop.call_soon_threadsafe(self._records.put_nowait, message)

        thread = threading.Thread(target=self._consume, args=(hand_over,), name="devices", daemon=True)
        thread.start()
        try:
            while True:
                message = await self._records.get()
                if message is None:
                    loaded.set()
                else:
                    await self._take(message)
                    if loaded.is_set():
                        self._on_change()
        finally:
            self._stop.set()

    async def _take(self, message: Message) -> None:
        key = (message.key() or b"").decode(errors="replace")
        if message.value() is None:
            if key.isdecimal():
                self._devices.pop(int(key), None)
            return
        try:
            device = await decode(self._settings.registry, self._codecs, message.value())
        except (Undecodable, UnknownSchema) as error:
            _logger.warning("%s: key %s is not readable, left as it was: %s", DEVICES.name, key, error)
            return
        if isinstance(device, Device):
            async with self._changed:
                self._devices[device.device_id] = device
                self._changed.notify_all()

    def _consume(self, hand_over: Callable[[Message | None], None]) -> None:
        """In a thread: hand over every record, and None once at the end the topic had when it was first reached."""
        consumer = Consumer({**self._settings.librdkafka, "group.id": "atrium-reader", "enable.auto.commit": False})
        place = TopicPartition(DEVICES.name, 0, OFFSET_BEGINNING)
        consumer.assign([place])
        end: int | None = None
        loaded = False
        while not self._stop.is_set():
            try:
                if end is None:
                    _, end = consumer.get_watermark_offsets(place, timeout=5.0)
                message = consumer.poll(_POLL_S if loaded or end else 0.0)
                if message is not None and message.error() is None:
                    hand_over(message)
                if not loaded and end is not None and (end == 0 or consumer.position([place])[0].offset >= end):
                    loaded = True
                    hand_over(None)
            except (KafkaException, RuntimeError) as error:  # away: librdkafka reconnects by itself
                _logger.warning("%s: %s", DEVICES.name, error)
                self._stop.wait(_RETRY_S)
        consumer.close()
