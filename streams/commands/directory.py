"""`atrium rooms | devices | beacons | policies`: what the building is, in the database."""

from __future__ import annotations

import click

rooms = click.Group("rooms", help="Rooms of the building.")
devices = click.Group("devices", help="Devices and where they hang.")
beacons = click.Group("beacons", help="Bluetooth beacons and the rooms they stand for.")
policies = click.Group("policies", help="What rooms do differently from the default policy.")
