"""Every producer must put a room's events into the same partition."""

import random

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafka_murmur2

from streams.keys import murmur2, partition_of

JAVA_VECTORS = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]
"""From Apache Kafka's UtilsTest.testMurmur2."""
ROOMS = {"1": 15, "2": 8, "10": 14, "11": 0}
LINES = {"knx-4": 1, "zwave-1": 0}


@pytest.mark.parametrize(("key", "hashed"), JAVA_VECTORS)
def test_murmur2_equals_javas(key, hashed):
    assert murmur2(key) == hashed


def test_the_buildings_own_keys_keep_their_partitions():
    assert {room: partition_of(room, 16) for room in ROOMS} == ROOMS
    assert {line: partition_of(line, 4) for line in LINES} == LINES


def test_aiokafka_and_so_fausts_producer_agrees_on_any_key():
    rng = random.Random(4)
    place = DefaultPartitioner()
    for _ in range(2_000):
        key = rng.randbytes(rng.randrange(1, 40))
        assert aiokafka_murmur2(key) & 0xFFFFFFFF == murmur2(key) & 0xFFFFFFFF
        for partitions in (1, 4, 16, 17):
            everywhere = list(range(partitions))
            assert place(key, everywhere, everywhere) == partition_of(key, partitions)


def test_text_keys_are_hashed_as_utf8():
    assert partition_of("Büro 3", 16) == partition_of("Büro 3".encode(), 16)
