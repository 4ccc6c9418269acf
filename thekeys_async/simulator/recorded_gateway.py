"""A gateway that was recorded: its way of writing, its times, and what it does with its connections.

The recorded replies to each request are given in their order, again and again; one that went well is written as it was
recorded, with what is true today.
"""

import os
import re
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import attrs

from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.recording import RecordedExchange, read_recording
from thekeys_async.simulator.locker import Bolt, SimulatedLocker
from thekeys_async.simulator.recorded_reply import BOLTS, RecordedReply, bolt, number, read_reply, written_like
from thekeys_async.simulator.replies import BOLT_WORDS, ReplyStyle
from thekeys_async.simulator.state import BUSY, CLOCK_NOT_SET, DONE, INVALID_HASH, SCANNING, GatewayState

SAMPLE_CODE: Final = "Zmo1sps2OVyCFtl1"  # as on the vendor's page
_CLOSED_AS_SAID = "to be closed"
STATUSES = frozenset({"status", "root_status"})
_SYNCHRONIZING = re.compile(r"synchroni", re.IGNORECASE)
_READINGS = {"rssi": "rssi", "battery_mv": "battery", "last_log": "last_log"}


class RecordedGateway:
    """One gateway, as a recording shows it.

    Args:
        exchanges: Those with this gateway, in their order.

    Attributes:
        dead: Whether nothing could be sent to it at all.
        max_future: How many seconds a timestamp could be ahead; None if none was refused for that.
        clock_set: Whether it knew the time at first.
        version: Of its firmware; None if it did not say.
        phase: The phase that it was in by itself, if it was in no other all the time.
        keep_alive: Whether it kept any connection.
        style: In which of the simulator's ways it writes, where nothing was recorded.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange]) -> None:
        recorded = list(exchanges)
        pairs = _pairs(recorded)
        self.dead = bool(recorded) and not pairs
        self.max_future = _max_future(pairs)
        self.clock_set = all(found.code != CLOCK_NOT_SET for _, found in pairs)
        self.keep_alive = not pairs or any(found.ended != _CLOSED_AS_SAID for _, found in pairs)
        self.style = _style([found for _, found in pairs])
        self._replies: dict[tuple[str, int | None], list[RecordedReply]] = {}
        self._next: dict[tuple[str, int | None], int] = {}
        self._all = [found for _, found in pairs]
        for exchange, found in pairs:
            late = found.code == INVALID_HASH and self.max_future is not None
            if not late and found.code != CLOCK_NOT_SET:
                self._replies.setdefault((found.endpoint.name, exchange.identifier), []).append(found)
        statuses = [found.fields for found in self._all if found.endpoint.name in STATUSES and found.fields]
        self.version = next(filter(None, (number(fields.get("version")) for fields in statuses)), None)
        phases = {str(fields["current_status"]) for fields in statuses if fields.get("current_status")}
        worked = any(found.went_well and found.endpoint.name not in STATUSES for found in self._all)
        self.phase = SCANNING if worked or not all(map(_SYNCHRONIZING.match, phases)) else max(phases, default=SCANNING)
        self._first = self._readings()
        self._bolts = {
            exchange.identifier: bolt(found.fields)
            for exchange, found in reversed(pairs)
            if found.endpoint.name == "locker_status" and found.went_well and found.fields
        }

    @classmethod
    def read(cls, recording: str | os.PathLike[str] | Iterable[str], gateway: str | None = None) -> "RecordedGateway":
        """Read one gateway of a recording.

        Args:
            recording: A file's path, or the lines.
            gateway: The gateway's name in the recording; None for the first.

        Raises:
            OSError: The file can't be read.
            ValueError: It is no recording, or nothing in it is of that gateway.
        """
        if isinstance(recording, (str, os.PathLike)):
            with Path(recording).open(encoding="utf-8") as file:
                exchanges = list(read_recording(file))
        else:
            exchanges = list(read_recording(recording))
        wanted = gateway or (exchanges[0].gateway if exchanges else None)
        chosen = [exchange for exchange in exchanges if exchange.gateway == wanted]
        if not chosen:
            there = ", ".join(sorted({exchange.gateway for exchange in exchanges})) or "none"
            raise ValueError(f"nothing in the recording is of that gateway; there is {there}")
        return cls(chosen)

    def lockers(self, codes: Mapping[int, str] | str) -> list[SimulatedLocker]:
        """Make the lockers that were seen or spoken to.

        Args:
            codes: A share code for each, or one for all.
        """
        spoken_to = {identifier for _, identifier in self._replies if identifier is not None}
        return [self._locker(identifier, codes) for identifier in dict.fromkeys([*self._first, *sorted(spoken_to)])]

    def _locker(self, identifier: int, codes: Mapping[int, str] | str) -> SimulatedLocker:
        locker = SimulatedLocker(
            identifier,
            share_code=codes if isinstance(codes, str) else codes.get(identifier),
            state=self._bolts.get(identifier, Bolt.CLOSED),
            wander=0,
        )
        locker.in_range = not self._first or identifier in self._first
        for name, value in self._first.get(identifier, {}).items():
            setattr(locker, name, value)
        return locker

    def settings(self) -> dict[str, Any]:
        """Return what is known of the gateway as keyword arguments of `SimulatedGateway`."""
        told = {
            "light": self.seconds(bluetooth=False),
            "bluetooth": self.seconds(bluetooth=True),
            "version": self.version,
            "max_future": self.max_future,
        }
        ways = {"style": self.style, "clock_set": self.clock_set, "keep_alive": self.keep_alive}
        return {**ways, **{name: value for name, value in told.items() if value is not None}}

    def seconds(self, *, bluetooth: bool) -> float | None:
        """Return how long such requests usually took; None if none was recorded."""
        taken = [found.seconds for found in self._all if found.endpoint.bluetooth is bluetooth and found.pieces]
        return statistics.median(taken) if taken else None

    def next(self, endpoint: Endpoint, identifier: int | None) -> RecordedReply | None:
        """Return what comes next for a request; None if no such request was recorded.

        A server that never said anything that a gateway says answers everything as it answered something.
        """
        key = (endpoint.name, identifier if "identifier" in endpoint.fields else None)
        replies = self._replies.get(key)
        if not replies:
            strange = self._all and all(found.fields is None for found in self._all)
            return self._all[0] if strange else None
        at = self._next.get(key, 0)
        self._next[key] = at + 1
        return replies[at % len(replies)]

    def reply(self, found: RecordedReply, state: GatewayState, locker: SimulatedLocker | None) -> bytes:
        """Write a reply that went well as it was recorded, with what is true today."""
        fields = found.fields
        if fields is None:
            return found.reply.encode("latin-1", "replace")
        match found.endpoint.name:
            case "lockers":
                return found.written(self._lockers(fields, state))
            case "status" | "root_status":
                return found.written(self._status(fields, state))
            case "locker_status" if locker is not None:
                return found.written(self._locker_status(fields, locker))
            case _:
                return found.written(fields)

    def refusal(self, endpoint: Endpoint, code: int) -> RecordedReply | None:
        """Find a recorded reply with this number, so that today's refusal has its words."""
        same = (found for found in self._all if found.code == code and found.endpoint.signed == endpoint.signed)
        return next(same, None)

    def _readings(self) -> dict[int, dict[str, int]]:
        """The first that was told of each locker."""
        readings: dict[int, dict[str, int]] = {}
        for found in self._all:
            if found.endpoint.name == "lockers" and found.went_well and found.fields:
                for row in _rows(found.fields):
                    identifier = number(row.get("identifier"))
                    if identifier is not None and identifier not in readings:
                        told = {name: number(row.get(theirs)) for name, theirs in _READINGS.items()}
                        readings[identifier] = {name: value for name, value in told.items() if value is not None}
        return readings

    def _lockers(self, fields: Mapping[str, Any], state: GatewayState) -> Mapping[str, Any]:
        devices: list[Any] = []
        told: set[int] = set()
        for row in _devices(fields):
            known: dict[str, Any] = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
            identifier = number(known.get("identifier"))
            locker = state.lockers.get(identifier) if identifier is not None else None
            if locker is None:
                devices.append(known or row)  # an odd row
            elif locker.in_range:
                told.add(locker.identifier)
                devices.append(self._today(known, locker))
        pattern = next(iter(_rows(fields)), None) or {"identifier": 0, "rssi": 0, "battery": 0, "last_log": 0}
        devices += [
            pattern
            | {"identifier": written_like(pattern["identifier"], locker.identifier)}
            | _readings_of(pattern, locker)
            for locker in state.lockers.values()
            if locker.in_range and locker.identifier not in told and locker.identifier not in self._first
        ]
        return {**fields, "devices": devices}

    def _today(self, row: Mapping[str, Any], locker: SimulatedLocker) -> Mapping[str, Any]:
        """Write the row of a locker: as recorded, and as much more or less as has happened since."""
        before = self._first.get(locker.identifier, {})
        changed = {}
        for name, theirs in _READINGS.items():
            value = number(row.get(theirs))
            if value is not None and name in before:
                changed[theirs] = written_like(row[theirs], value + getattr(locker, name) - before[name])
        return {**row, **changed}

    def _status(self, fields: Mapping[str, Any], state: GatewayState) -> Mapping[str, Any]:
        changed: dict[str, object] = {}
        if self.version is not None and state.version != self.version:
            changed["version"] = written_like(fields.get("version"), state.version)
        if state.phase != SCANNING:
            changed["current_status"] = state.phase
        return {**fields, **changed}

    def _locker_status(self, fields: Mapping[str, Any], locker: SimulatedLocker) -> Mapping[str, Any]:
        today = dict(self._today(fields, locker))
        if bolt(fields) is not locker.state:
            code, words = BOLT_WORDS[locker.state]
            for name in ("status", "code"):
                told = fields.get(name)
                if number(told) in BOLTS:
                    today[name] = written_like(told, code)
                elif isinstance(told, str) and told.lower() == BOLT_WORDS[bolt(fields)][1].lower():
                    today[name] = words
            if bolt(today) is not locker.state:  # jammed, where only numbers are told
                today["status"] = words
        return today


def _rows(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [cast("dict[str, Any]", row) for row in _devices(fields) if isinstance(row, dict)]
    return [row for row in rows if number(row.get("identifier")) is not None]


def _devices(fields: Mapping[str, Any]) -> list[object]:
    devices = fields.get("devices")
    return cast("list[object]", devices) if isinstance(devices, list) else []


def _readings_of(row: Mapping[str, Any], locker: SimulatedLocker) -> dict[str, object]:
    return {
        theirs: written_like(row[theirs], getattr(locker, name)) for name, theirs in _READINGS.items() if theirs in row
    }


def _pairs(recorded: list[RecordedExchange]) -> list[tuple[RecordedExchange, RecordedReply]]:
    """Read the exchanges; one after which the connection was found closed is marked as closing it."""
    pairs: list[tuple[RecordedExchange, RecordedReply]] = []
    for exchange in recorded:
        if exchange.found_closed and pairs:
            before, found = pairs[-1]
            pairs[-1] = before, attrs.evolve(found, closes=True)
        if (found_now := read_reply(exchange)) is not None:
            pairs.append((exchange, found_now))
    return pairs


def _max_future(pairs: list[tuple[RecordedExchange, RecordedReply]]) -> float | None:
    """Find the lead that a timestamp could have: between the accepted ones and the refused ones, if they are apart."""
    leads = [(exchange.lead, found.code) for exchange, found in pairs if exchange.lead is not None]
    accepted = [lead for lead, code in leads if code not in {None, INVALID_HASH, CLOCK_NOT_SET, BUSY}]
    refused = [lead for lead, code in leads if code == INVALID_HASH]
    if not accepted or not refused or min(refused) <= max(accepted):
        return None
    return (max(accepted) + min(refused)) / 2


def _style(found: list[RecordedReply]) -> ReplyStyle:
    if any(each.code == DONE and each.endpoint.may_be_empty and each.fields is None for each in found):
        return ReplyStyle.TERSE
    said = [each.fields for each in found if each.fields]
    if any(number(fields.get("status")) is not None and isinstance(fields["status"], str) for fields in said):
        return ReplyStyle.PAGE
    if any(each.code == BUSY and " 500" in each.head.split("\n")[0] for each in found):
        return ReplyStyle.BUSY_500
    return ReplyStyle.FIELD
