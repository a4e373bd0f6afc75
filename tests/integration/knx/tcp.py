"""KNXnet/IP over TCP in front of knxd, which speaks UDP only: frames pass as they are, but for endpoints and acknowledgements.

KNX v02.01.01 - Core 03.08.02: over TCP a client names no endpoint of its own, and tunnelling requests are not acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from xknx.knxip import (
    HPAI,
    ConnectionStateRequest,
    ConnectRequest,
    DisconnectRequest,
    KNXIPFrame,
    TunnellingAck,
    TunnellingRequest,
)

_HEADER = 6


class _Udp(asyncio.DatagramProtocol):
    """The side of knxd."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # Python 3.11's own is no subclass of it

    def datagram_received(self, data: bytes, addr: object) -> None:
        frame, _ = KNXIPFrame.from_knx(data)
        if isinstance(frame.body, TunnellingAck):
            return
        if isinstance(frame.body, TunnellingRequest):
            ack = TunnellingAck(frame.body.communication_channel_id, frame.body.sequence_counter)
            self.transport.sendto(KNXIPFrame.init_from_body(ack).to_knx())
        self._client.write(data)


@asynccontextmanager
async def tcp_in_front_of(udp_port: int) -> AsyncIterator[int]:
    """The TCP port of a server that passes everything to knxd at `udp_port`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(writer), remote_addr=("127.0.0.1", udp_port))
        ours = HPAI(*transport.get_extra_info("sockname"))
        try:
            while True:
                header = await reader.readexactly(_HEADER)
                frame, _ = KNXIPFrame.from_knx(header + await reader.readexactly(int.from_bytes(header[4:]) - _HEADER))
                if isinstance(frame.body, ConnectRequest):
                    frame.body.control_endpoint = frame.body.data_endpoint = ours
                elif isinstance(frame.body, DisconnectRequest | ConnectionStateRequest):
                    frame.body.control_endpoint = ours
                transport.sendto(frame.to_knx())
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            transport.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
