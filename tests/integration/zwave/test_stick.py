"""The simulated stick outlives what hosts and clients do to it: the tests of the drivers lean on that."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agents.gateways.log import utc_now
from infra.simulator.play import Play
from infra.simulator.zwave import ZwaveDevices
from schemas.records import Bus
from tests.integration.zwave.mock import Building, building, dimmer, multisensor, needs_zwave_js

pytestmark = needs_zwave_js

ACK = b"\x06"
GET_ID = bytes.fromhex("01030020dc")
SET, OK = 0x13, 0
"""SendData; transmission status OK."""


@pytest.fixture
async def built() -> AsyncIterator[Building]:
    async with building([multisensor(2), dimmer(3)], server=False) as made:
        yield made


class Host:
    """Who speaks the Serial API by hand (INS12350)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, frame: bytes) -> None:
        self.writer.write(frame)

    async def frame(self) -> bytes:
        """The next data frame, acknowledged."""
        async with asyncio.timeout(5):
            while (first := await self.reader.readexactly(1)) != b"\x01":
                assert first == ACK
            length = (await self.reader.readexactly(1))[0]
            body = await self.reader.readexactly(length)
        self.send(ACK)
        return body

    def set_level(self, node: int, level: int, callback: int) -> None:
        command = bytes([0x26, 0x01, level])
        body = bytes([0x00, SET, node, len(command), *command, 0x25, callback])
        whole = bytes([len(body) + 1, *body])
        check = 0xFF
        for byte in whole:
            check ^= byte
        self.send(bytes([0x01, *whole, check]))

    async def is_answered(self) -> bool:
        self.send(GET_ID)
        return (await self.frame())[1] == 0x20


@asynccontextmanager
async def host(built: Building) -> AsyncIterator[Host]:
    reader, writer = await asyncio.open_connection("127.0.0.1", built.serial_port)
    try:
        yield Host(reader, writer)
    finally:
        writer.transport.abort()


async def test_half_a_frame_of_a_killed_host_does_not_spoil_the_next_ones_first(built: Building) -> None:
    async with host(built) as killed:
        killed.send(GET_ID[:3])
        await killed.writer.drain()
    async with host(built) as following:
        assert await following.is_answered()


async def test_half_a_frame_that_is_never_ended_is_forgotten(built: Building) -> None:
    async with host(built) as clumsy:
        clumsy.send(GET_ID[:3])
        async with asyncio.timeout(10):
            while True:
                clumsy.send(GET_ID)  # at first it completes the other one, to something that is none
                try:
                    async with asyncio.timeout(2):
                        assert (await clumsy.frame())[1] == 0x20
                    return
                except TimeoutError:
                    continue


async def test_frames_that_come_in_one_chunk_or_byte_by_byte_are_all_taken(built: Building) -> None:
    async with host(built) as speaker:
        speaker.send(GET_ID + GET_ID)
        assert [(await speaker.frame())[1] for _ in range(2)] == [0x20, 0x20]
        for byte in GET_ID:
            speaker.send(bytes([byte]))
            await speaker.writer.drain()
        assert (await speaker.frame())[1] == 0x20


async def test_a_host_killed_in_mid_exchange_leaves_a_stick_that_serves_the_next_one(built: Building) -> None:
    for level in (10, 20, 30):
        async with host(built) as killed:
            killed.set_level(3, level, 1)
            await killed.writer.drain()
            assert await killed.reader.readexactly(1) == ACK
    async with host(built) as following:
        following.set_level(3, 40, 7)
        assert (await following.frame())[:3] == bytes([0x01, SET, 0x01])
        assert (await following.frame())[:4] == bytes([0x00, SET, 7, OK])
    async with asyncio.timeout(5):  # the acknowledgement may be that of the Set before, which is on the air for the last host
        while (await built.mock.counts(3))["frames"] < 4:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
    assert await built.mock.level(3) == 40


async def test_a_level_outlives_the_stick_being_pulled_out(built: Building) -> None:
    await built.mock.hand(3, 42)
    await built.mock.unplug()
    with pytest.raises(OSError):
        async with host(built):
            pass
    await built.mock.plug()
    async with host(built) as back:
        assert await back.is_answered()
    assert await built.mock.level(3) == 42


async def test_clients_that_are_reset_harm_nobody(built: Building) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", built.mock.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b'{"id":1,"op":"subscribe"}\n{"id"')
    await built.mock.tell(2, temperature=22.0)


async def test_lamps_stay_as_they_are_whichever_process_of_the_simulation_is_killed(built: Building) -> None:
    play = Play(4, utc_now(), 1.0)
    moved = asyncio.Event()

    @asynccontextmanager
    async def played(play: Play) -> AsyncIterator[None]:
        playing = asyncio.create_task(ZwaveDevices(play, built.mock.port, moved.set).run())
        try:
            yield
        finally:
            playing.cancel()
            await asyncio.wait([playing])

    async with played(play):
        await asyncio.wait_for(moved.wait(), 10)
        await built.mock.hand(3, 42)
        await until(lambda: play.read(Bus.zwave, "3/level_pct") == 42.0)
        built.stick.kill()
        await built.start(built.stick)
        async with asyncio.timeout(10):
            while await built.mock.level(3) != 42:  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.05)
    other = Play(4, utc_now(), 1.0)
    async with played(other):
        await until(lambda: other.read(Bus.zwave, "3/level_pct") == 42.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
