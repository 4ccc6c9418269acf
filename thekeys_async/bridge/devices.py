"""All lockers and gateways as topics: made of the library's updates and of the outcome of commands. Pure."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from thekeys_async.bridge.discovery import BridgedLocker, gateway_device, lock_device
from thekeys_async.bridge.heartbeat import Moment
from thekeys_async.bridge.messages import Action, CommandMessage
from thekeys_async.bridge.retained import RetainedTopics
from thekeys_async.bridge.topics import OFFLINE, ONLINE, Target, Topics, escaped
from thekeys_async.bridge.views import By, Event, GatewayView, LockView
from thekeys_async.protocol.models import LockerReading, LockerStatus, battery_percent
from thekeys_async.protocol.text import printable
from thekeys_async.streams.updates import STATUS, STATUS_ERROR, GatewayUpdate, LockerUpdate, UpdateKind

_LONGEST_WAIT: Final = 3600.0


class Devices:
    """Keeps the retained topics up to date. All times are of one clock, in seconds; `at` of updates is the wall's.

    Args:
        topics: The bridge's topics.
        lockers: The lockers that are published.
        gateways: The names of the gateways.
        version: This program's version.
        read_only: Whether nothing is driven.
    """

    def __init__(
        self,
        topics: Topics,
        lockers: Iterable[BridgedLocker],
        gateways: Iterable[str],
        *,
        version: str,
        read_only: bool = False,
    ) -> None:
        self._topics = topics
        self._version = version
        self._read_only = read_only
        self.retained = RetainedTopics(topics.rank)
        self.locks: Mapping[int, LockView] = {each.identifier: LockView(each) for each in lockers}
        self.gateways: Mapping[str, GatewayView] = {name: GatewayView(name) for name in gateways}
        for gateway in self.gateways.values():
            self._publish_gateway(gateway)
        for lock in self.locks.values():
            self._publish_lock(lock)

    def gateway_news(self, update: GatewayUpdate) -> None:
        """Take news of a gateway: it is there, lost, back, or doing something else."""
        if (gateway := self.gateways.get(update.gateway)) is None:
            return
        gateway.reachable, gateway.error = update.reachable, update.error
        gateway.phase = update.phase if update.phase is not None else gateway.phase
        gateway.version = update.version if update.version is not None else gateway.version
        self._publish_gateway(gateway)

    def locker_news(self, update: LockerUpdate, now: Moment) -> list[Event]:
        """Take news of a locker.

        Returns:
            The moves of its bolt.
        """
        lock = self.locks.get(update.identifier)
        if lock is None or update.gateway != lock.locker.gateway:
            return []
        lock.lost = update.kind is UpdateKind.LOST
        reading: LockerReading | None = update.reading
        events: list[Event] = []
        if not lock.lost and reading is not None:
            lock.reading = reading
            lock.thin_out_signal(now.boot)
            events += _moved(lock, lock.moves(reading.last_log, now.boot))
        if STATUS_ERROR in update.changed:
            lock.error = update.status_error
        if STATUS in update.changed and update.status is not None:
            waited = min(max(0.0, now.wall - update.at.timestamp()), _LONGEST_WAIT)
            events += self._read(lock, update.status, Moment(now.wall - waited, now.boot - waited))
        self._publish_lock(lock)
        return events

    def bolt_read(self, identifier: int, status: LockerStatus, answered_at: Moment) -> list[Event]:
        """Take a locker's own answer about its bolt.

        Returns:
            The moves of its bolt.
        """
        lock = self.locks[identifier]
        events = self._read(lock, status, answered_at)
        self._publish_lock(lock)
        return events

    def _read(self, lock: LockView, status: LockerStatus, answered_at: Moment) -> list[Event]:
        if lock.state.read_at is not None and answered_at.boot < lock.state.read_at:
            return []
        before = lock.state.read
        stuck = lock.state.was_read(status.state, answered_at.boot)
        if lock.state.read_at != answered_at.boot:
            return []
        lock.status, lock.error, lock.read_at = status, None, answered_at.wall
        events: list[Event] = []
        if before is not None and before is not status.state:
            events += _moved(lock, lock.state_changed(answered_at.boot))
        if stuck:
            events.append(Event(lock.locker.identifier, "did not move", "bridge"))
        return events

    def command_sent(self, identifier: int, action: Action, now: float) -> None:
        """Note that the bytes of a command leave."""
        lock = self.locks[identifier]
        lock.state.sent(action)
        lock.moved_by_us(now)
        self._publish_lock(lock)

    def command_replied(self, identifier: int, action: Action, now: float) -> None:
        """Note that the gateway has confirmed a command."""
        self.locks[identifier].state.replied(action, now)
        self._publish_lock(self.locks[identifier])

    def command_failed(self, identifier: int, now: float, *, may_have_executed: bool, was_sent: bool = True) -> None:
        """Note that a command has failed.

        Args:
            identifier: The locker.
            now: When.
            may_have_executed: Whether the bolt may have moved all the same.
            was_sent: Whether any byte of it has left.
        """
        lock = self.locks[identifier]
        if was_sent or may_have_executed:
            lock.state.failed(now, may_have_executed=may_have_executed)
        if was_sent and not may_have_executed:
            lock.not_moved_by_us()
        self._publish_lock(lock)

    def passed(self, now: float) -> None:
        """Note that time has passed; to be called every second or so."""
        for lock in self.locks.values():
            rssi = lock.rssi
            lock.thin_out_signal(now)
            if lock.state.passed(now) or lock.rssi != rssi:
                self._publish_lock(lock)

    def stopped(self) -> None:
        """Note that nobody will see where a bolt ends that moves now."""
        for lock in self.locks.values():
            lock.state.stopped()
            self._publish_lock(lock)

    def result(
        self, target: Target, message: CommandMessage | None, outcome: str, reason: str | None, wall: float
    ) -> None:
        """Publish the result of a message, if it was for a locker or gateway that is there.

        Args:
            target: The target.
            message: The message; None if it had not the form of a command.
            outcome: The outcome.
            reason: The reason.
            wall: When.
        """
        if not self._is_there(target):
            return
        told = {
            "action": None if message is None else message.action.value,
            "outcome": outcome,
            "reason": None if reason is None else printable(reason),
            "id": None if message is None else message.id,
            "at": None if message is None else message.at,
            "ended": _iso(wall),
        }
        self.retained.add(f"{self._topics.prefix}/{target.kind}/{target.name}/result", _json(told))

    def _is_there(self, target: Target) -> bool:
        if target.kind == "gateway":
            return any(escaped(name) == target.name for name in self.gateways)
        return target.identifier in self.locks

    def _publish_gateway(self, gateway: GatewayView) -> None:
        say, name = self.retained.set, gateway.name
        say(self._topics.gateway(name, "state"), ONLINE if gateway.reachable else OFFLINE)
        error = None if gateway.error is None else printable(str(gateway.error))
        attributes = {"firmware": gateway.version, "phase": gateway.phase, "error": error}
        say(self._topics.gateway(name, "attributes"), _json(attributes))
        if (topic := self._topics.gateway_config(name)) is not None:
            device = gateway_device(
                self._topics, name, version=self._version, firmware=gateway.version, driven=not self._read_only
            )
            say(topic, device)

    def _publish_lock(self, lock: LockView) -> None:
        say, identifier = self.retained.set, lock.locker.identifier
        say(self._topics.lock(identifier, "availability"), ONLINE if lock.available else OFFLINE)
        say(self._topics.lock(identifier, "state"), lock.state.published.value)
        say(self._topics.lock(identifier, "attributes"), _json(_attributes(lock)))
        if (topic := self._topics.lock_config(identifier)) is not None:
            firmware = None if lock.status is None else lock.status.version
            driven = lock.locker.has_code and not self._read_only
            device = lock_device(self._topics, lock.locker, version=self._version, firmware=firmware, driven=driven)
            say(topic, device)


def _moved(lock: LockView, moves: Mapping[By, int]) -> list[Event]:
    return [Event(lock.locker.identifier, "moved", by, count) for by, count in moves.items()]


def _attributes(lock: LockView) -> dict[str, object]:
    reading, status = lock.reading, lock.status
    battery = None if reading is None else reading.battery_mv
    return {
        "rssi": lock.rssi,
        "battery_mv": battery,
        "battery_percent": battery_percent(battery),
        "last_log": None if reading is None else reading.last_log,
        "position": None if status is None else status.position,
        "firmware": None if status is None else status.version,
        "read_at": None if lock.read_at is None else _iso(lock.read_at),
        "gateway": lock.locker.gateway,
        "error": None if lock.error is None else printable(str(lock.error)),
    }


def _iso(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
