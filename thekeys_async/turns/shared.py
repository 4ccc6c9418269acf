"""The state that all objects of one gateway share: its queue, its timestamps and its connection.

The waiters and the connection belong to an event loop; the last timestamp and the end of the last rest belong to the
process, or two event loops one after the other would hand out the same timestamp.
"""

import math
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import attrs

from thekeys_async.coordination.base import Coordinator
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import TheKeysError
from thekeys_async.protocol.models import GatewayStatus, LockerReading
from thekeys_async.protocol.requests import Request
from thekeys_async.transport.wire import SocketWire, Wire
from thekeys_async.turns.coordinated import CoordinatedTurn
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.queue import Turns
from thekeys_async.turns.timestamps import Allocator, Ledger, Stamp, Timestamps

_shared_gateways: anyio.lowlevel.RunVar[dict[str, "SharedGateway"]] = anyio.lowlevel.RunVar("thekeys_async gateways")
_ledgers: dict[str, Ledger] = {}
_ledgers_lock = threading.Lock()
_CLOCK_WAS_SET = timedelta(seconds=1)
_FIRST_INVALIDATION_PAUSE = 30.0
_LONGEST_INVALIDATION_PAUSE = 300.0


@attrs.frozen
class SharedSettings:
    """The settings that have to be the same for all objects of one gateway."""

    pacing: Pacing
    timestamps: Timestamps
    coordinator: Coordinator | None = None


@attrs.define  # not frozen: each poll makes one
class Scan:
    """The outcome of the last scan that anybody in this event loop asked for.

    Attributes:
        at: When that was, in the loop's time.
        readings: The lockers; None if there was no usable answer.
    """

    at: float
    readings: tuple[LockerReading, ...] | None


@attrs.frozen
class Phase:
    """The phase that a gateway says it is in.

    Attributes:
        text: In its own words.
        synchronizing: Whether it synchronises itself or a locker.
        since: When it was first heard to say so, by the clock of now; all of a synchronisation is one phase.
        began: The same in the event loop's time.
    """

    text: str
    synchronizing: bool
    since: datetime
    began: float = 0.0


@attrs.define(eq=False)
class UnansweredRead:
    """The last signed read that was sent and got no answer, until the gateway has accepted a newer signed request.

    That one invalidates it: until then, whoever caught it on its way can use its hash to open the door.

    Attributes:
        request: The read, or None.
        invalidating: Whether a newer request is under way.
        next_try: When the next one may be sent, in the event loop's time.
    """

    request: Request | None = None
    invalidating: bool = False
    next_try: float = -math.inf
    _failures: int = 0

    def try_later(self, now: float) -> None:
        """Wait longer than the last time before the next try: a locker that hangs costs 15 s each time."""
        self.next_try = now + min(_LONGEST_INVALIDATION_PAUSE, _FIRST_INVALIDATION_PAUSE * 2 ** min(self._failures, 16))
        self._failures += 1

    def invalidated(self) -> None:
        """Forget the read: the gateway has accepted a newer signed request."""
        self.request, self.next_try, self._failures = None, -math.inf, 0


@attrs.define(eq=False)
class SharedGateway:
    """One gateway in one event loop, as all objects for it share it.

    Attributes:
        key: Which gateway: its normalised address, or what the caller calls it.
        settings: The settings that all its users have.
        turns: Its queue.
        allocator: Its timestamps.
        ledger: The process's memory of it.
        coordinated: Its turn among several processes, if they share it.
        users: How many objects and calls use it now.
        clock_set_at: When the gateway was last synchronised because its clock was not set, in the loop's time.
        version: Its firmware.
        trouble: The error of the last request, until the gateway answers again.
        scan: The last scan.
        warned_of_odd_devices: Whether it was said that devices without a usable identifier are left out.
        commands: How many commands to each locker have ended, well or not.
        accepted: How many signed requests of ours it has accepted.
        unanswered: The last signed read that was sent and got no answer.
        pollers: Its pollers by address, while there are watchers; only `streams` knows their type.
    """

    key: str
    settings: SharedSettings
    turns: Turns
    allocator: Allocator
    ledger: Ledger
    coordinated: CoordinatedTurn | None = None
    users: int = 0
    clock_set_at: float = -math.inf
    _phase: Phase | None = None
    version: int | None = None
    trouble: TheKeysError | None = None
    scan: Scan | None = None
    warned_of_odd_devices: bool = False
    commands: dict[int, int] = attrs.field(factory=dict[int, int])
    accepted: int = 0
    unanswered: UnansweredRead = attrs.field(factory=UnansweredRead)
    pollers: dict[str, object] = attrs.field(factory=dict[str, object])
    _wires: dict[Address, SocketWire] = attrs.field(factory=dict[Address, SocketWire])
    _used: Wire | None = None

    def wire(self, address: Address) -> SocketWire:
        """Get the connection that all share who reach the gateway at this address."""
        return self._wires.get(address) or self._wires.setdefault(address, SocketWire(address))

    def use(self, wire: Wire | None) -> None:
        """Keep only this wire's connection, or none; a gateway may serve one at a time."""
        if self._used and self._used is not wire:
            self._used.drop()
        self._used = wire

    def enter(self) -> None:
        """Add a user."""
        self.users += 1

    def leave(self) -> None:
        """Remove a user; the last one closes the connection."""
        self.users -= 1
        if not self.users:
            self.close()
            if find(self.key) is self:
                del _here()[self.key]

    def close(self) -> None:
        """Close the connection, and keep none from now on."""
        for wire in self._wires.values():
            wire.close()

    def stamp(self, *, signed: bool) -> Stamp | None:
        """Get the timestamp of a signed request, right before its first byte, with no await in between.

        Raises:
            LeaseLostError: The turn was shared with other processes, and is lost, or the timestamp is too old.
        """
        if self.coordinated:
            return self.coordinated.stamp(signed=signed)
        return self.allocator.take() if signed else None

    def departure(self, stamp: Stamp) -> AbstractContextManager[None]:
        """Enter around the sending of a signed request, so that timestamps leave in their order.

        Raises:
            OvertakenError: Another event loop of this process has taken a newer timestamp since.
        """
        # A turn that is shared with other processes is no other event loop's either.
        return nullcontext() if self.coordinated else self.allocator.in_order(stamp)

    def note_status(self, status: GatewayStatus) -> None:
        """Remember what the gateway says of itself."""
        before, goes_on = self.phase, False
        if before:
            both = before.synchronizing and status.synchronizing
            goes_on = both or before.text == status.phase
        since, began = datetime.now(UTC), anyio.current_time()
        if before and goes_on:
            since, began = before.since, before.began
        self._phase = Phase(status.phase, status.synchronizing, since, began)
        self.version = status.version

    @property
    def phase(self) -> Phase | None:
        """The phase that the gateway last told; setting the wall clock makes no synchronisation look longer."""
        if self._phase and self._phase.synchronizing:
            since = datetime.now(UTC) - timedelta(seconds=anyio.current_time() - self._phase.began)
            if abs(since - self._phase.since) > _CLOCK_WAS_SET:
                self._phase = attrs.evolve(self._phase, since=since)
        return self._phase

    @property
    def phase_text(self) -> str | None:
        """The phase that the gateway last told, in its own words."""
        return self.phase.text if self.phase else None

    def count_command(self, identifier: int | None) -> None:
        """Remember that a command has been sent; None if it was for the gateway itself."""
        if identifier is not None:
            self.commands[identifier] = self.commands.get(identifier, 0) + 1

    def release(self, now: float, endpoint: Endpoint, *, sent: bool, failed: bool, refused: bool = False) -> None:
        """Give the turn back; the rest that follows is remembered beyond this event loop.

        Args:
            now: The event loop's time.
            endpoint: The request.
            sent: Whether the gateway may have got anything to rest from.
            failed: Whether it was busy or could not be reached.
            refused: Whether it has refused the timestamp.
        """
        if self.coordinated:
            self.use(None)  # a gateway that serves one connection at a time must be free for other processes
        pacing = self.settings.pacing
        rest = (pacing.bluetooth if endpoint.bluetooth else pacing.light) if sent else 0.0
        self.ledger.quiet_until = max(self.ledger.quiet_until, time.monotonic() + rest)
        self.turns.release(now, rest=rest, failed=failed, command=endpoint.command, sent=sent, refused=refused)


def find(key: str) -> SharedGateway | None:
    """Find the shared state of a gateway in this event loop; None if nobody uses it."""
    return _here().get(key)


def join(key: str, settings: SharedSettings) -> SharedGateway:
    """Become a user of a gateway in this event loop; `SharedGateway.leave` ends it.

    Raises:
        ValueError: Others use the gateway with other settings.
    """
    shared = find(key)
    if shared is None:
        shared = _here()[key] = _build(key, settings)
    check(shared, settings)
    shared.enter()
    return shared


def check_if_in_use(key: str, settings: SharedSettings) -> None:
    """Check a new object's settings against those of the gateway's users, if there are any in this event loop.

    Raises:
        ValueError: They are not the same.
    """
    try:
        shared = find(key)
    except anyio.NoEventLoopError:
        return
    if shared:
        check(shared, settings)


def check(shared: SharedGateway, settings: SharedSettings) -> None:
    """Check that a user's settings are those of the others.

    Raises:
        ValueError: They are not.
    """
    if shared.settings != settings:
        raise ValueError(f"{shared.key} is in use with another pacing, other timestamps or another coordinator")


def _here() -> dict[str, SharedGateway]:
    try:
        return _shared_gateways.get()
    except LookupError:
        gateways: dict[str, SharedGateway] = {}
        _shared_gateways.set(gateways)
        return gateways


def _build(key: str, settings: SharedSettings) -> SharedGateway:
    with _ledgers_lock:
        ledger = _ledgers.setdefault(key, Ledger())
    allocator = Allocator(ledger, settings.timestamps)
    coordinated = _coordinate(key, settings, allocator)
    turns = Turns(allocator, quiet_for=max(0.0, ledger.quiet_until - time.monotonic()), coordinated=coordinated)
    return SharedGateway(key, settings, turns, allocator, ledger, coordinated)


def _coordinate(key: str, settings: SharedSettings, allocator: Allocator) -> CoordinatedTurn | None:
    pacing = settings.pacing
    if settings.coordinator is None:
        return None
    return CoordinatedTurn(settings.coordinator, key, allocator, rest=max(pacing.light, pacing.bluetooth))
