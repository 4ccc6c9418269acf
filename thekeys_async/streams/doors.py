"""The reads of doors over Bluetooth: as seldom as possible, and once for all watchers that follow a door."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import anyio
import attrs

from thekeys_async.calls.driver import Driver
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.errors import (
    CoordinationError,
    GatewayBusyError,
    GatewayClosedError,
    InvalidHmacError,
    InvalidKeyError,
    LockerIncompatibleError,
    NotSharedError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.models import LockerReading, LockerStatus
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.streams.locker_changes import MOST_LOCKERS, Door
from thekeys_async.turns.shared import SharedGateway

_BUDGET = 60.0
_BOLT_MOVES = 5.0
_FIRST_PAUSE = 10.0
_LASTING = (InvalidKeyError, LockerIncompatibleError, NotSharedError)

_Key = tuple[int, ShareCode]


class Follower(Protocol):
    """A watcher that may follow doors."""

    @property
    def door_interval(self) -> float:
        """Seconds between reads of a door whose locker does not tell `LockerReading.last_log`."""
        ...

    def code(self, identifier: int) -> ShareCode | None:
        """Get the watcher's own share code of a door that it follows, None if it does not."""
        ...

    def door_read(self, identifier: int, door: Door, at: datetime) -> None:
        """Take the outcome of a door's read."""
        ...


@attrs.define
class Followed:
    """One door, read with one share code.

    Attributes:
        door: The last read of the door.
        log: The locker's `last_log` when the door was last read.
        commands: How many commands of our own had ended by then.
        again_at: When it is read again even though nothing has happened.
        failures: The number of failed reads in a row.
        accepted: How many signed requests the gateway had accepted when it refused a hash. That may be for many
            reasons, and is worth another try when it accepts one again.
    """

    door: Door = attrs.field(factory=Door)
    log: int | None = None
    commands: int = 0
    again_at: float = -math.inf
    failures: int = 0
    accepted: int | None = None

    def is_due(self, reading: LockerReading, commands: int, accepted: int, now: float) -> bool:
        """Tell whether the door is to be read: nobody has yet, its log has grown, or we have sent a command."""
        if self.accepted is not None and accepted > self.accepted:
            return True
        if reading.last_log is not None and self.log is not None:
            if reading.last_log > self.log:
                return True
            self.log = reading.last_log  # one that has shrunk was reset, and grows from there
        return commands != self.commands or now >= self.again_at

    def succeeded(self, status: LockerStatus, reading: LockerReading, commands: int, now: float, pause: float) -> None:
        """Note what was read. Without a log that will tell when the bolt has moved, it is looked at again."""
        moving = commands != self.commands
        again_at = now + (min(_BOLT_MOVES, pause) if moving else pause)
        self.again_at = math.inf if reading.last_log is not None else again_at
        self.door, self.failures, self.accepted = Door(status), 0, None
        self.log, self.commands = reading.last_log, commands

    def failed(self, error: TheKeysError, reading: LockerReading, commands: int, now: float, pause: float) -> None:
        """Note why it could not be read; it is tried again, less and less often."""
        self.failures += 1
        soon = _FIRST_PAUSE * 2 ** min(self.failures - 1, 16)
        self.again_at = now + (pause if isinstance(error, _LASTING) else min(pause, soon))
        self.door = Door(self.door.status, error)
        self.log, self.commands = reading.last_log, commands


class Doors:
    """The doors that the watchers of one gateway follow."""

    def __init__(self, shared: SharedGateway, followers: Iterable[Follower]) -> None:
        self._shared = shared
        self._followers = followers
        self._followed: dict[_Key, Followed] = {}
        self._due: dict[_Key, LockerReading] = {}
        self._read_lock = anyio.Lock()
        self._wakeup = anyio.Event()

    def listed(self, readings: Mapping[int, LockerReading]) -> None:
        """Choose the doors to read, now that the gateway has listed its lockers."""
        now = anyio.current_time()
        self._forget_unseen(readings)
        for follower in self._followers:
            for identifier, reading in readings.items():
                if code := follower.code(identifier):
                    followed = self._followed.setdefault((identifier, code), Followed())
                    if followed.is_due(reading, self._shared.commands.get(identifier, 0), self._shared.accepted, now):
                        self._due[identifier, code] = reading
        if self._due:
            self._wakeup.set()

    def read_now(self, identifier: int, reading: LockerReading | None) -> None:
        """Have a door read at once, or as soon as its gateway sees it, however fresh its last read is."""
        for follower in self._followers:
            if code := follower.code(identifier):
                followed = self._followed.setdefault((identifier, code), Followed())
                followed.again_at = -math.inf
                if reading is not None:
                    self._due[identifier, code] = attrs.evolve(reading)  # another one than that of a read under way
                    self._wakeup.set()

    def _forget_unseen(self, readings: Mapping[int, LockerReading]) -> None:
        """Forget doors that the gateway no longer sees, once there are more of them than it can have."""
        if len(self._followed) > MOST_LOCKERS:
            for key in [key for key in self._followed if key[0] not in readings]:
                del self._followed[key]
                self._due.pop(key, None)

    def lost(self) -> None:
        """Wait for the gateway to be back before any door is read."""
        self._due.clear()

    def known(self, follower: Follower) -> dict[int, Door]:
        """Get the last reads of the doors that a watcher follows."""
        return {
            identifier: followed.door
            for (identifier, code), followed in self._followed.items()
            if followed.door != Door() and follower.code(identifier) == code
        }

    async def serve(self, gateway: Driver) -> None:
        """Read the doors for all, once whoever did so before has left."""
        async with self._read_lock:
            while True:
                while not self._due:
                    self._wakeup = anyio.Event()
                    await self._wakeup.wait()
                key, reading = next(iter(self._due.items()))
                await self._read(gateway, key, reading)
                if self._due.get(key) is reading:  # else it was asked for once more while it was read
                    del self._due[key]

    async def _read(self, gateway: Driver, key: _Key, reading: LockerReading) -> None:
        identifier, code = key
        if not (followers := self._following(key)):
            return
        followed, commands = self._followed[key], self._shared.commands.get(identifier, 0)
        pause = min(follower.door_interval for follower in followers)
        request = Request(endpoints.LOCKER_STATUS, identifier, code)
        try:
            answer = await gateway.ask(request, replies.locker_status, _BUDGET, wait_if_busy=False)
        except (GatewayBusyError, RequestTimeoutError, CoordinationError):
            return  # which says nothing of the door; the poller tells what is to be told
        except GatewayClosedError:
            raise
        except TheKeysError as error:
            failure = error.with_traceback(None)
            followed.failed(failure, reading, commands, anyio.current_time(), pause)
            followed.accepted = self._shared.accepted if isinstance(failure, InvalidHmacError) else None
        else:
            followed.succeeded(answer.value, reading, commands, anyio.current_time(), pause)
        at = datetime.now(UTC)
        for follower in self._following(key):
            follower.door_read(identifier, followed.door, at)

    def _following(self, key: _Key) -> list[Follower]:
        identifier, code = key
        return [follower for follower in tuple(self._followers) if follower.code(identifier) == code]
