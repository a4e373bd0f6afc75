from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import ports
from infra.ports import PortTaken, choose_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Usual ports that are free while the test runs, and claimed neither by an earlier test nor by a building that runs."""
    others = (port for port in random.sample(range(20000, 32000), 200) if port not in ports._claimed and ports.claim(port))
    free = dict(zip(ports.USUAL, others, strict=False))
    for port in free.values():
        ports._claimed.pop(port).close()
    monkeypatch.setattr(ports, "USUAL", free)
    return free


def test_the_usual_port_is_taken_where_it_is_free(tmp_path: Path, usual: dict[str, int]) -> None:
    assert choose_ports(tmp_path / "ports.json", {"kafka": None, "api": None}) == {"kafka": usual["kafka"], "api": usual["api"]}


def test_a_port_in_use_is_replaced_by_a_free_one_below_the_ephemeral_range(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ports.USUAL, "kafka", taken)
    chosen = choose_ports(tmp_path / "ports.json", {"kafka": None})["kafka"]
    assert chosen != taken
    assert 20000 <= chosen < 32000


def test_the_next_run_keeps_the_port_of_the_last_one(tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ports.USUAL, "kafka", taken)
    memory = tmp_path / "ports.json"
    first = choose_ports(memory, {"kafka": None})
    assert choose_ports(memory, {"kafka": None}) == first
    assert json.loads(memory.read_text()) == first


def test_a_port_asked_for_by_name_is_used_or_refused(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PortTaken, match=f"port {taken} for api is in use .* set ATRIUM_API_PORT"):
        choose_ports(tmp_path / "ports.json", {"api": taken})


def test_two_parts_never_get_one_port(tmp_path: Path, usual: dict[str, int]) -> None:
    chosen = choose_ports(tmp_path / "ports.json", {"kafka": None, "api": usual["kafka"]})
    assert chosen["api"] == usual["kafka"] != chosen["kafka"]


def test_a_port_asked_for_that_an_earlier_part_has_is_refused(tmp_path: Path, usual: dict[str, int]) -> None:
    choose_ports(tmp_path / "ports.json", {"api": None})
    with pytest.raises(PortTaken, match=f"port {usual['api']} for kafka"):
        choose_ports(tmp_path / "ports.json", {"kafka": usual["api"]})


def test_a_port_claimed_by_another_process_is_left_to_it(tmp_path: Path, usual: dict[str, int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(f"\0atrium-port-{usual['kafka']}")
        assert choose_ports(tmp_path / "ports.json", {"kafka": None})["kafka"] != usual["kafka"]
