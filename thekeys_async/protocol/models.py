"""The values that callers get: frozen, with checked fields."""

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, overload

import attrs
from attrs.validators import instance_of, optional

from thekeys_async.protocol.serialization import Serializable, named

_EMPTY_MV = 6395
_FULL_MV = 8204


RSSI: Final = range(-255, 256)
"""The range of a signal's strength, in dBm."""

BATTERY_MV: Final = range(100_001)
"""The range of a battery's voltage, in mV."""

NATURAL: Final = range(2**63 + 1)
"""The range of identifiers, and of the numbers of events and firmware."""

POSITION: Final = range(-(2**31), 2**31)
"""The range of a bolt's position, in the locker's own units."""


def _within(numbers: range, *, or_none: bool = True) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Make a validator: one function for each number, as a thousand gateways bring hundreds of them a second."""
    least, most = numbers[0], numbers[-1]

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is None and or_none:
            return
        if not isinstance(value, int):
            raise TypeError(f"{attribute.name} is not a whole number")
        if not least <= value <= most:
            raise ValueError(f"{attribute.name} is not between {least} and {most}")

    return check


_rssi = _within(RSSI)
_battery = _within(BATTERY_MV)
_natural = _within(NATURAL)
_identifier = _within(NATURAL, or_none=False)


def check_identifier(identifier: object) -> int:
    """Check that something can be a locker's number, and give it back.

    Raises:
        TypeError: It is no whole number; True and False are none.
        ValueError: It is negative.
    """
    if isinstance(identifier, bool) or not isinstance(identifier, int):
        raise TypeError("a locker's identifier is a whole number")
    if identifier < 0:
        raise ValueError("a locker's identifier is not negative")
    return identifier


class DoorState(enum.Enum):
    """The state of the bolt, not of the leaf: a door can stand open with its bolt out."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """The locker does not know, for example just after it has started."""
    JAMMED = "jammed"
    """The bolt is stuck (observed in the field, not on the vendor's page)."""


@attrs.frozen
class LockerReading(Serializable):
    """One locker in a gateway's scan.

    Attributes:
        identifier: The locker's number, as printed on it.
        rssi: Strength of its Bluetooth signal at the gateway, in dBm: nearer to 0 is stronger. None where the gateway
            sent nothing that makes sense.
        battery_mv: Its battery, in mV; None likewise.
        last_log: The number of the locker's latest event; it grows whenever anybody turns the bolt. None on
            firmware that does not send it (observed, not on the vendor's page).
    """

    identifier: int = attrs.field(validator=_identifier)
    rssi: int | None = attrs.field(validator=_rssi)
    battery_mv: int | None = attrs.field(validator=_battery)
    last_log: int | None = attrs.field(default=None, validator=_natural)


@attrs.frozen
class LockerStatus(Serializable):
    """A locker's own status, asked over Bluetooth.

    Attributes:
        state: The bolt's state (not that of the door's leaf).
        position: The bolt's position in the locker's own units, if told.
        rssi: Signal strength in dBm, if told.
        battery_mv: Battery in mV, if told.
        version: The locker's firmware, if told.
    """

    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"state": named(DoorState)}

    state: DoorState = attrs.field(validator=instance_of(DoorState))
    position: int | None = attrs.field(default=None, validator=optional(instance_of(int)))
    rssi: int | None = attrs.field(default=None, validator=_rssi)
    battery_mv: int | None = attrs.field(default=None, validator=_battery)
    version: int | None = attrs.field(default=None, validator=_natural)

    @property
    def locked(self) -> bool | None:
        """Whether the bolt is out; None where that is not known (unknown, jammed)."""
        return {DoorState.CLOSED: True, DoorState.OPEN: False}.get(self.state)


@attrs.frozen
class GatewayStatus(Serializable):
    """A gateway's own status.

    Attributes:
        version: Its firmware, if told.
        phase: What it is doing, in its own words: ``"Scanning..."``, ``"Synchronizing gw"``; empty if not told. At
            most 200 printable characters.
    """

    version: int | None = attrs.field(validator=_natural)
    phase: str = attrs.field(validator=instance_of(str))

    @property
    def synchronizing(self) -> bool:
        """Whether it synchronises itself or a locker; no locker can be reached meanwhile."""
        return self.phase.lower().startswith("synchroniz")


@attrs.frozen
class CommandResult(Serializable):
    """A command that the gateway says it has carried out.

    The bolt moves about 5 s after the reply (observed): see `AsyncLocker.wait_for`.

    Attributes:
        timestamp: The timestamp it was signed with, in whole seconds since 1970; None for an unsigned request.
        attempts: How many times it was sent; more than once only where the gateway had said that it did nothing.
        duration: Seconds from the call to the reply, with queueing and retries.
    """

    timestamp: int | None
    attempts: int
    duration: float


@overload
def battery_percent(millivolts: int) -> int: ...
@overload
def battery_percent(millivolts: None) -> None: ...
@overload
def battery_percent(millivolts: int | None) -> int | None: ...
def battery_percent(millivolts: int | None) -> int | None:
    """Estimate how full a locker's battery is.

    A straight line through what the vendor's app shows (7783 mV: 76 %, 8131 mV: 95 %; observed). It is an
    estimate: show the millivolts beside it.

    Args:
        millivolts: The battery in mV, as in `LockerReading.battery_mv`.

    Returns:
        0 to 100; None where the voltage is not known.
    """
    if millivolts is None:
        return None
    fraction = (millivolts - _EMPTY_MV) / (_FULL_MV - _EMPTY_MV)
    return round(100 * min(1.0, max(0.0, fraction)))
