"""What the gateway did to each device: the compacted topic building.effects, read at the start, then written through."""

from __future__ import annotations

import asyncio
import logging

from agents.gateways.log import Log
from schemas.codecs import Codecs
from schemas.commands import Effect
from schemas.errors import Undecodable, UnknownSchema
from streams.compacted import last_values
from streams.decoding import decode
from streams.settings import Settings
from streams.topics import EFFECTS

_logger = logging.getLogger(__name__)


class Effects:
    """The last effect of every device. `put` returns when Kafka has it: only then may the bus be touched."""

    def __init__(self, settings: Settings, codecs: Codecs, log: Log) -> None:
        self._settings, self._codecs, self._log = settings, codecs, log
        self._last: dict[int, Effect] = {}

    async def load(self) -> None:
        """Read the topic to its end. Raises `KafkaException`, `TimeoutError`, `RegistryUnavailable`."""
        last: dict[int, Effect] = {}
        for key, value in (await asyncio.to_thread(last_values, self._settings, EFFECTS)).items():
            try:
                effect = await decode(self._settings.registry, self._codecs, value)
            except (Undecodable, UnknownSchema) as error:
                _logger.warning("%s: key %r is not readable, counted as missing: %s", EFFECTS.name, key, error)
                continue
            if isinstance(effect, Effect):
                last[effect.device_id] = effect
        self._last = last

    def last(self, device_id: int) -> Effect | None:
        """The device's last effect, if any."""
        return self._last.get(device_id)

    async def put(self, effect: Effect) -> None:
        """Note an effect; it lasts once this returns. Only the line's owner notes anything."""
        await self._log.as_owner()
        await self._log.append(EFFECTS, str(effect.device_id), effect)
        self._last[effect.device_id] = effect
