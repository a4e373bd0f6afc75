"""The whole building as parts: the embedded services, the step that provisions them, the roles."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from infra.part import Part
from infra.services import environment, resolve
from streams.settings import Settings
from streams.worker import ROLES

PREPARE = "prepare"


def all_parts(settings: Settings, env: Mapping[str, str]) -> tuple[list[Part], Settings]:
    """Every part in the order of its needs, and the settings they share. `env` is what the children's environment is built on."""
    services, resolved = resolve(settings)
    child_env = {**env, **environment(resolved)}
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
            name=role.name, argv=(*command, "role", role.name), env=child_env, port=ports.get(role.name),
            needs=(*prepare.needs, PREPARE), gated=True,
        )
        for role in ROLES.values()
        if settings.simulator_enabled or not role.simulated
    ]  # fmt: skip
    return [*services, prepare, *roles], resolved
