"""The whole building as parts: the embedded services, the step that provisions them, the roles."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from infra.part import Part
from infra.services import environment, resolve
from infra.zwave.parts import zwave_parts
from streams.settings import Settings
from streams.worker import ROLES
from streams.zwave_settings import KEY_VARIABLES, ZwaveDriverName

PREPARE = "prepare"


def all_parts(settings: Settings, env: Mapping[str, str]) -> tuple[list[Part], Settings]:
    """Every part in the order of its needs, and the settings they share. `env` is what the children's environment is built on."""
    services, resolved = resolve(settings)
    zwave, resolved = zwave_parts(resolved, env)
    decided = {"ATRIUM_ZWAVE_PORT", "ATRIUM_SIMULATOR_ZWAVE_PORT"}  # that one was wished for does not mean that it is used
    child_env = {name: value for name, value in env.items() if name not in decided.union(KEY_VARIABLES)} | environment(resolved)
    # Whoever holds the stick has the network's keys: OpenZWave, a child of the role, or the embedded Z-Wave JS server, a part.
    keys = resolved.zwave_keys.by_variable if resolved.zwave_driver is ZwaveDriverName.openzwave else {}
    command = (sys.executable, "-m", "streams.cli")
    prepare = Part(
        name=PREPARE,
        argv=(*command, PREPARE),
        env=child_env,
        needs=tuple(part.name for part in services),
        once=True,
        gated=True,
        essential=True,
    )
    ports = {"api": resolved.api_port, "simulator": resolved.simulator_port, "rooms": resolved.rooms_web_port}
    roles = [
        Part(
            name=role.name, argv=(*command, "role", role.name), port=ports.get(role.name),
            env={**child_env, **keys} if role.name == "zwave" else child_env,
            needs=(*prepare.needs, PREPARE), gated=True,
        )
        for role in ROLES.values()
        if role.wanted(resolved)
    ]  # fmt: skip
    return [*services, prepare, *zwave, *roles], resolved
