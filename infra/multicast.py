"""Whether multicast on loopback is to be had: the simulated KNX devices and the gateway meet there."""

from __future__ import annotations

import secrets
import socket
import struct

from infra.ports import LOOPBACK

GROUP = "224.0.23.12"
"""KNXnet/IP Routing's own group (KNX v02.01.01 - Routing 03.08.05)."""
_WITHIN_S = 0.5


def why_no_multicast(port: int) -> str | None:
    """None when a datagram sent to the group on loopback arrives, else why not."""
    membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(LOOPBACK))
    word = secrets.token_bytes(8)
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            listener.bind((GROUP, port))
            listener.settimeout(_WITHIN_S)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
            sender.bind((LOOPBACK, 0))
            sender.sendto(word, (GROUP, port))
            while listener.recv(1024) != word:
                pass
    except TimeoutError:
        return f"a datagram to {GROUP}:{port} did not come back within {_WITHIN_S:g} s"
    except OSError as error:
        return f"{GROUP}:{port}: {error.strerror or error}"
    return None
