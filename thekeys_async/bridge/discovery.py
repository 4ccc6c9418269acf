"""The discovery messages for Home Assistant: one for each device, with everything it has. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs

from thekeys_async.bridge.messages import Action
from thekeys_async.bridge.topics import OFFLINE, ONLINE, Topics, slug

ORIGIN: Final = "thekeys-async"
OUTCOMES: Final = ("done", "not done", "unknown", "refused")

_STAMPED: Final = '{"action":"{{ value }}","at":{{ utcnow().timestamp() }}}'
_DIAGNOSTIC: Final = {"entity_category": "diagnostic"}


@attrs.frozen
class BridgedLocker:
    """A locker that is published.

    Attributes:
        identifier: Its number, which topics and devices go by: a new name makes no second device.
        name: The name in the configuration.
        gateway: The name of the gateway that drives it.
        area: The room that Home Assistant suggests.
        has_code: Whether a share code is known; without one there are sensors alone.
    """

    identifier: int
    name: str
    gateway: str
    area: str | None = None
    has_code: bool = False


def lock_device(topics: Topics, locker: BridgedLocker, *, version: str, firmware: int | None, driven: bool) -> str:
    """Write the discovery message of a locker.

    Args:
        topics: The bridge's topics.
        locker: The locker.
        version: This program's version.
        firmware: The locker's, if it has told it.
        driven: Whether there is a lock to operate, and not sensors alone.
    """
    here = f"{topics.prefix}/lock/{locker.identifier}"
    device = {
        "identifiers": [f"thekeys_{locker.identifier}"],
        "name": locker.name,
        "manufacturer": "The Keys",
        "model": "Smart lock",
        "serial_number": str(locker.identifier),
        "via_device": _gateway_identifier(locker.gateway),
        **({} if firmware is None else {"sw_version": str(firmware)}),
        **({} if locker.area is None else {"suggested_area": locker.area}),
    }
    parts = _Components(f"thekeys_{locker.identifier}", _object_id(locker.name, locker.identifier))
    if driven:
        _add_lock(parts, here)
    _add_sensors(parts, here)
    if driven:
        # It tells of commands, so it stays when the lock is unavailable because of one.
        parts.add(
            "outcome",
            "sensor",
            name="Last command",
            device_class="enum",
            options=list(OUTCOMES),
            state_topic=f"{here}/result",
            value_template="{{ value_json.outcome }}",
            json_attributes_topic=f"{here}/result",
            availability=_availability(topics.state),
            **_DIAGNOSTIC,
        )
        parts.button(Action.READ, f"{here}/press", name="Read the bolt")
        parts.button(Action.CALIBRATE, f"{here}/press", name="Calibrate")
    availability = _availability(topics.state, topics.gateway(locker.gateway, "state"), f"{here}/availability")
    return _message(device, parts, availability, version)


def gateway_device(topics: Topics, name: str, *, version: str, firmware: int | None, driven: bool) -> str:
    """Write the discovery message of a gateway; arguments as for `lock_device`."""
    device = {
        "identifiers": [_gateway_identifier(name)],
        "name": f"Gateway {name}",
        "manufacturer": "The Keys",
        "model": "Gateway",
        **({} if firmware is None else {"sw_version": str(firmware)}),
    }
    attributes = topics.gateway(name, "attributes")
    parts = _Components(_gateway_identifier(name), f"gateway_{slug(name)}".lower())
    parts.add(
        "connectivity",
        "binary_sensor",
        name="Connectivity",
        device_class="connectivity",
        state_topic=topics.gateway(name, "state"),
        payload_on=ONLINE,
        payload_off=OFFLINE,
        **_DIAGNOSTIC,
    )
    for what in ("firmware", "phase"):
        parts.add(
            what,
            "sensor",
            name=what.capitalize(),
            state_topic=attributes,
            value_template=f"{{{{ value_json.{what} }}}}",
            **_DIAGNOSTIC,
        )
    if driven:
        parts.button(Action.SYNCHRONISE, topics.gateway(name, "press"), name="Synchronise")
    return _message(device, parts, _availability(topics.state), version)


def is_ours(payload: bytes, prefix: str) -> bool:
    """Tell whether a discovery message was made by this program for this prefix, and may be taken away."""
    try:
        found: Any = json.loads(payload)
        origin = found["origin"]["name"]
        states = [each["topic"] for each in found["availability"]]
    except (ValueError, RecursionError, TypeError, LookupError):
        return False
    return origin == ORIGIN and f"{prefix}/bridge/state" in states


class _Components:
    """The components of a device; all their identifiers have one prefix."""

    def __init__(self, unique: str, object_id: str) -> None:
        self._unique = unique
        self._object_id = object_id
        self.components: dict[str, dict[str, object]] = {}

    def add(self, key: str, platform: str, /, *, name: str | None, **options: object) -> None:
        """Add a component. Older Home Assistants read the object id, newer ones the default entity id."""
        object_id = self._object_id if name is None else f"{self._object_id}_{key}"
        self.components[key] = {
            "platform": platform,
            "unique_id": f"{self._unique}_{key}",
            "object_id": object_id,
            "default_entity_id": f"{platform}.{object_id}",
            "name": name,
            **options,
        }

    def button(self, action: Action, topic: str, *, name: str) -> None:
        """Add a button that is off until somebody wants it, and whose messages bear the time."""
        self.add(
            action.value,
            "button",
            name=name,
            command_topic=topic,
            payload_press=action.value,
            command_template=_STAMPED,
            retain=False,
            qos=0,
            enabled_by_default=False,
            entity_category="config",
        )


def _add_lock(parts: _Components, here: str) -> None:
    parts.add(
        "lock",
        "lock",
        name=None,
        command_topic=f"{here}/set",
        command_template=_STAMPED,
        payload_lock=Action.LOCK.value,
        payload_unlock=Action.UNLOCK.value,
        state_topic=f"{here}/state",
        state_locked="LOCKED",
        state_unlocked="UNLOCKED",
        state_locking="LOCKING",
        state_unlocking="UNLOCKING",
        state_jammed="JAMMED",
        json_attributes_topic=f"{here}/attributes",
        optimistic=False,
        retain=False,
        qos=0,
    )


def _add_sensors(parts: _Components, here: str) -> None:
    attributes = f"{here}/attributes"
    sensors: Mapping[str, Mapping[str, object]] = {
        "battery": {"name": "Battery", "device_class": "battery", "unit_of_measurement": "%", "_": "battery_percent"},
        "voltage": {"name": "Voltage", "device_class": "voltage", "unit_of_measurement": "mV", "_": "battery_mv"},
        "signal": {
            "name": "Signal strength",
            "device_class": "signal_strength",
            "unit_of_measurement": "dBm",
            "enabled_by_default": False,
            "_": "rssi",
        },
    }
    for key, options in sensors.items():
        given = {name: value for name, value in options.items() if name not in {"_", "name"}}
        parts.add(
            key,
            "sensor",
            name=str(options["name"]),
            state_topic=attributes,
            value_template=f"{{{{ value_json.{options['_']} }}}}",
            state_class="measurement",
            **given,
            **_DIAGNOSTIC,
        )
    parts.add(
        "jammed",
        "binary_sensor",
        name="Jammed",
        device_class="problem",
        state_topic=f"{here}/state",
        value_template="{{ 'ON' if value == 'JAMMED' else 'OFF' }}",
    )


def _message(device: Mapping[str, object], parts: _Components, availability: list[dict[str, str]], version: str) -> str:
    message = {
        "device": device,
        "origin": {"name": ORIGIN, "sw_version": version},
        "availability": availability,
        "availability_mode": "all",
        "components": parts.components,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _availability(*topics: str) -> list[dict[str, str]]:
    return [{"topic": topic, "payload_available": ONLINE, "payload_not_available": OFFLINE} for topic in topics]


def _gateway_identifier(name: str) -> str:
    return f"thekeys_gateway_{slug(name)}"


def _object_id(name: str, identifier: int) -> str:
    """Write a name as Home Assistant's identifiers are; the number stands for one that has no plain letter."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return "_".join(part for part in plain.split("_") if part) or f"thekeys_{identifier}"
