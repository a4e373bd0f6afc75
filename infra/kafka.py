"""The embedded Kafka: one node, broker and controller in one (KRaft), on loopback, its data under the home folder."""

from __future__ import annotations

import base64
import os
import signal
import socket
import struct
import subprocess
import uuid
from pathlib import Path

from infra.java import Packages
from infra.part import Part
from infra.ports import LOOPBACK
from schemas.errors import BuildingError

NAME = "kafka"
_HEAP_MB = 384
_LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{ISO8601} %p %c{1} %m%n
"""


class KafkaNotFormatted(BuildingError):
    """The data folder of the embedded Kafka could not be laid out."""

    reason = "kafka_not_formatted"


def kafka_part(home: Path, packages: Packages, port: int, controller_port: int, *, java_options: tuple[str, ...] = ()) -> Part:
    """The broker as a part; its files are under `home`/kafka."""
    folder = home / "kafka"
    config = folder / "server.properties"
    java = (
        *packages.command(NAME, _HEAP_MB, *java_options),
        "-cp", os.pathsep.join(str(jar) for jar in packages.kafka_jars),
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        f"-Djava.io.tmpdir={folder}",
    )  # fmt: skip

    def prepare() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.properties").write_text(_LOG4J)
        config.write_text(_server_properties(folder / "data", port, controller_port))
        if not (folder / "data" / "meta.properties").exists():
            _format(java, config)

    return Part(
        name=NAME, essential=True, argv=(*java, "kafka.Kafka", str(config)), env={"LC_ALL": "C.UTF-8"}, port=port,
        prepare=prepare, ready=lambda _pid: answers(port), stop_signal=signal.SIGTERM, stop_within_s=20,
    )  # fmt: skip


def _server_properties(data: Path, port: int, controller_port: int) -> str:
    return f"""\
process.roles=broker,controller
node.id=1
# The old-style voter list names today's controller port; the newer dynamic quorum would remember the port of the first run.
controller.quorum.voters=1@{LOOPBACK}:{controller_port}
listeners=PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}
advertised.listeners=PLAINTEXT://{LOOPBACK}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# One node: nothing to replicate to.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A handful of groups: fewer partitions to open at every start than the usual 50.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
# After a kill the node may register anew only when its old self has timed out: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The cleaner's map is 128 MB of heap by default; 16 MB hold 700,000 keys.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


def _format(java: tuple[str, ...], config: Path) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = (
        *java,
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster_id}",
        "-c",
        str(config),
    )  # an id can begin with a dash
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KafkaNotFormatted(f"Kafka could not lay out its data folder: {(done.stderr or done.stdout).strip()[-500:]}")


def answers(port: int) -> bool:
    """Whether a broker at this loopback port answers an ApiVersions request (Kafka protocol guide: key 18, version 0)."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(8)) == 8
    except OSError:
        return False
