"""A simulated locker: a bolt, a battery, a radio, and a log that grows."""

import time
from collections.abc import Iterable
from enum import StrEnum
from random import Random
from typing import Literal

import attrs

Turn = Literal["open", "close", "calibrate"]

_TURN_COSTS = 10  # tenths of a mV
_READ_COSTS = 1


class Bolt(StrEnum):
    """The place of the bolt, as the locker knows it; equal to its plain text."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    JAMMED = "jammed"


@attrs.frozen
class BoltEvent:
    """One turn of the bolt.

    Attributes:
        number: The value of `last_log` after it.
        turn: The action: open, close or calibrate.
        by: The cause: `"gateway"` or `"hand"`.
        at: When, in seconds since 1970.
    """

    number: int
    turn: Turn
    by: str
    at: float = attrs.field(factory=time.time, eq=False)


def _codes(given: str | Iterable[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    return frozenset((given,) if isinstance(given, str) else given)


@attrs.define(eq=False)
class SimulatedLocker:
    """One locker. Its attributes may be changed at any time.

    Attributes:
        identifier: The locker's number.
        share_codes: The codes that the gateway can validate, given as `share_code=`: one, several, or none for a locker
            that is not shared.
        state: The bolt's state.
        rssi: In dBm, as last reported.
        battery_mv: In mV; a turn costs 1 mV, a read by Bluetooth a tenth of it.
        version: Of its firmware.
        last_log: The number of its latest event.
        position: A number that `/locker_status` tells, without a meaning here.
        wander: How far the RSSI strays from where it began, in dB; 0 keeps it still.
        in_range: Whether the gateway sees it.
        compatible: Whether the gateway can work with it.
        synchronized: Whether it knows the gateway's key; it answers 36 until it has been synchronised.
        jammed: Whether the next turn ends half-way.
        opened_count: How many times it was opened.
        closed_count: How many times it was closed.
        calibrated_count: How many times it was calibrated.
        events: All turns of the bolt.
    """

    identifier: int
    share_codes: frozenset[str] = attrs.field(default=None, converter=_codes, repr=False, alias="share_code")
    state: Bolt = attrs.field(default=Bolt.CLOSED, converter=Bolt, kw_only=True)
    rssi: int = attrs.field(default=-71, kw_only=True)
    battery_mv: int = attrs.field(default=7044, kw_only=True)
    version: int = attrs.field(default=81, kw_only=True)
    last_log: int = attrs.field(default=100, kw_only=True)
    position: int = attrs.field(default=20, kw_only=True)
    wander: int = attrs.field(default=3, kw_only=True)
    in_range: bool = attrs.field(default=True, kw_only=True)
    compatible: bool = attrs.field(default=True, kw_only=True)
    synchronized: bool = attrs.field(default=True, kw_only=True)
    jammed: bool = attrs.field(default=False, kw_only=True)
    opened_count: int = attrs.field(default=0, init=False)
    closed_count: int = attrs.field(default=0, init=False)
    calibrated_count: int = attrs.field(default=0, init=False)
    events: list[BoltEvent] = attrs.field(factory=list[BoltEvent], init=False, repr=False)
    _usual_rssi: int = attrs.field(default=0, init=False, repr=False)
    _drained: int = attrs.field(default=0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Remember around which RSSI it wanders."""
        self._usual_rssi = self.rssi

    def turn(self, turn: Turn, by: str = "gateway") -> None:
        """Turn the bolt: the log grows, the battery drains."""
        self.last_log += 1
        self.events.append(BoltEvent(self.last_log, turn, by))
        self.drain(_TURN_COSTS)
        match turn:
            case "open":
                self.opened_count += 1
                self.state = Bolt.OPEN
            case "close":
                self.closed_count += 1
                self.state = Bolt.CLOSED
            case "calibrate":
                self.calibrated_count += 1
                if self.state in {Bolt.UNKNOWN, Bolt.JAMMED}:
                    self.state = Bolt.CLOSED
        if self.jammed:
            self.state = Bolt.JAMMED

    def drain(self, tenths: int = _READ_COSTS) -> None:
        """Take charge out of the battery, in tenths of a mV; by default what a read by Bluetooth costs."""
        whole, self._drained = divmod(self._drained + tenths, 10)
        self.battery_mv = max(0, self.battery_mv - whole)

    def stray(self, random: Random) -> None:
        """Let the RSSI wander by one step at most, around where it was last put."""
        if self.wander:
            if abs(self.rssi - self._usual_rssi) > self.wander:
                self._usual_rssi = self.rssi
            step = self.rssi + random.choice((-1, 0, 1))
            self.rssi = min(max(step, self._usual_rssi - self.wander), self._usual_rssi + self.wander)

    def take_firmware(self, version: int | None = None) -> None:
        """Install firmware, the next version if none is given.

        It boots, and does not know where its bolt is until it is turned.
        """
        self.version = self.version + 1 if version is None else version
        self.state = Bolt.UNKNOWN
