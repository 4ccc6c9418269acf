"""The questions of a check: reads alone, each in its turn, a limited number in a limited time."""

import os
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio
import attrs

from thekeys_async.calls.driver import Driver
from thekeys_async.calls.recorder import Recorder
from thekeys_async.cli.check.door import try_door
from thekeys_async.cli.check.listening import ExchangeCollector, LookingWire, OutOfRequests
from thekeys_async.cli.check.observations import DoorRead, Observations, Resolved
from thekeys_async.cli.check.timestamps import earlier, lead_of
from thekeys_async.coordination import Coordinator
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.errors import (
    CoordinationError,
    GatewayUnreachableError,
    InvalidHmacError,
    ProtocolError,
    TheKeysError,
)
from thekeys_async.protocol.models import GatewayStatus
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.shared import SharedSettings
from thekeys_async.turns.timestamps import Timestamps

_LIGHT_REQUESTS = 10
_TO_RESOLVE = 5.0
_BLUETOOTH = 15.0
_NEAR = 5.0
_FOR_THE_REST = 18
"""Requests that are kept for what is asked after the doors."""


_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@attrs.frozen(kw_only=True)
class CheckPlan:
    """The settings of a check.

    Attributes:
        address: The gateway's address.
        codes: The share codes that are known, by locker.
        coordinator: With whom turns are shared.
        recorder: The recorder, or None.
        door: The locker to open and close, or None.
        seconds: The time for all reads.
        requests: How many there may be.
        pacing: The gateway's rest.
        patience: Seconds for which a gateway that is busy, or not there, is asked again.
        linger: Seconds for which a connection is left alone, to see whether it is closed.
        slow: From how many seconds on a light request counts as slow.
        max_lead: The greatest lead over the clock that is tried, in seconds.
    """

    address: Address
    codes: Mapping[int, ShareCode] = attrs.field(factory=dict[int, ShareCode], repr=False)
    coordinator: Coordinator | None = None
    recorder: Recorder | None = None
    door: int | None = None
    seconds: float = 60.0
    requests: int = 40
    pacing: Pacing = attrs.field(factory=Pacing)
    patience: float = 8.0
    linger: float = 0.5
    slow: float = 1.0
    max_lead: float = Timestamps().max_lead


async def observe(plan: CheckPlan) -> Observations:
    """Ask all that can be asked in the time.

    Raises:
        CoordinationError: The turns can't be shared with the other processes.
    """
    check = _Check(plan)
    try:
        with anyio.move_on_after(plan.seconds) as scope:
            await check.run()
        if scope.cancelled_caught:
            check.seen["unfinished"] = f"{plan.seconds:g} s were over"
        elif plan.door is not None:
            await check.try_door()
    except OutOfRequests:
        check.seen["unfinished"] = f"{check.wire.requests} requests were sent"
    finally:
        check.wire.close()
    return check.observations()


class _Check:
    """One check under way. What it has seen is in `seen`, by the names of the attributes of `Observations`."""

    def __init__(self, plan: CheckPlan) -> None:
        self.seen: dict[str, Any] = {"resolved": Resolved(host=plan.address.host), "coded": frozenset(plan.codes)}
        # Opening and closing a door needs some of them.
        most = plan.requests if plan.door is None else plan.requests * 3 // 5
        self._collector = ExchangeCollector(plan.recorder)
        self.wire = LookingWire(plan.address, most, partial(self._collector.take_down, str(plan.address)))
        self._plan = plan
        self._synchronizing_since: float | None = None
        self._began = anyio.current_time()

    def observations(self) -> Observations:
        """Freeze what was seen."""
        plan = self._plan
        return Observations(
            port=plan.address.port,
            proxies=tuple(name for name in _PROXIES if os.environ.get(name)),
            exchanges=tuple(self._collector.exchanges),
            light_rest=plan.pacing.light,
            slow=plan.slow,
            **self.seen,
        )

    async def run(self) -> None:
        """Ask one thing after the other, as far as the answers allow."""
        if not await self._resolve():
            return
        with self._driver(Timestamps()) as driver:
            if not await self._meet(driver):
                return
            await self._doors(driver)
        await self._times()
        with self._driver(Timestamps()) as driver:
            await self._habits(driver)
            await self._latencies(driver)
            await self._look_again(driver)

    async def try_door(self) -> None:
        """Open and close the door that was named, if it can be read: in its own time, or it would stay open."""
        reads: tuple[DoorRead, ...] = self.seen.get("reads", ())
        read = next((each for each in reads if each.identifier == self._plan.door and each.status), None)
        if read is None:
            return
        self.wire.most = None
        with self._driver(Timestamps(offset=read.offset)) as driver:
            self.seen["door"] = await try_door(driver, read.identifier, self._plan.codes[read.identifier])

    @contextmanager
    def _driver(self, timestamps: Timestamps) -> Generator[Driver, None, None]:
        """Make a driver with the settings of all commands, except for the timestamps."""
        plan = self._plan
        driver = Driver(
            name=str(plan.address),
            address=plan.address,
            key=str(plan.address),
            observer=None,
            recorder=self._collector,
            settings=SharedSettings(plan.pacing, timestamps, plan.coordinator),
            timeout=plan.patience,
            codes=plan.codes,
            own_wire=self.wire,
            recover_clock=False,
        )
        try:
            yield driver
        finally:
            driver.close()

    async def _resolve(self) -> bool:
        address = self._plan.address
        found: list[str] = []
        error = None
        with anyio.move_on_after(_TO_RESOLVE) as scope:
            try:
                places = await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
                found = list(dict.fromkeys(str(place[4][0]) for place in places))
            except (OSError, UnicodeError) as failed:
                error = (failed.strerror if isinstance(failed, OSError) else None) or type(failed).__name__
        if scope.cancelled_caught:
            error = f"no answer within {_TO_RESOLVE:g} s"
        self.seen["resolved"] = Resolved(host=address.host, addresses=tuple(found), error=error)
        return error is None

    async def _meet(self, driver: Driver) -> bool:
        """Ask for its status and its lockers; tell whether it is worth asking more."""
        status, error = await self._status(driver)
        self.seen["status"], self.seen["status_error"] = status, error
        if isinstance(error, GatewayUnreachableError) and not any(each.sent for each in self._collector.exchanges):
            return False
        try:
            self.seen["lockers"] = await driver.scan(self._plan.patience)
        except CoordinationError:
            raise
        except TheKeysError as failed:
            self.seen["lockers_error"] = failed
            return status is not None or not isinstance(failed, ProtocolError | GatewayUnreachableError)
        return True

    async def _status(self, driver: Driver) -> tuple[GatewayStatus | None, TheKeysError | None]:
        try:
            status = await driver.status(self._plan.patience)
        except CoordinationError:
            raise
        except TheKeysError as error:
            return None, error
        if status.synchronizing and self._synchronizing_since is None:
            self._synchronizing_since = anyio.current_time()
        return status, None

    async def _doors(self, driver: Driver) -> None:
        """Read each door once for which there is a share code and that the gateway sees, the one to be tried first."""
        seen = {reading.identifier for reading in self.seen.get("lockers") or ()}
        doors = sorted(
            seen & self._plan.codes.keys(), key=lambda identifier: (identifier != self._plan.door, identifier)
        )
        reads: list[DoorRead] = []
        stop_at = self._began + self._plan.seconds / 2
        for identifier in doors:
            left = self._plan.requests if self.wire.most is None else self.wire.most - self.wire.requests
            if left <= _FOR_THE_REST or anyio.current_time() >= stop_at:
                self.seen["unfinished"] = f"{len(reads)} of {len(doors)} doors were read"
                return
            reads.append(await self._read(driver, identifier))
            self.seen["reads"] = tuple(reads)

    async def _read(self, driver: Driver, identifier: int, offset: float = 0.0) -> DoorRead:
        request = Request(endpoints.LOCKER_STATUS, identifier, self._plan.codes[identifier])
        began, wall, before = anyio.current_time(), time.time(), len(self._collector.exchanges)
        try:
            answer = await driver.ask(request, replies.locker_status, max(self._plan.patience, _BLUETOOTH))
        except CoordinationError:
            raise
        except TheKeysError as error:
            return DoorRead(identifier=identifier, error=error, seconds=anyio.current_time() - began, offset=offset)
        if answer.timestamp is not None and answer.timestamp - wall > offset + _NEAR:
            offset = 0.0  # timestamps that were accepted before did not let it be so early
        refused = any(each.refused for each in self._collector.exchanges[before:])
        return DoorRead(
            identifier=identifier,
            status=answer.value,
            seconds=answer.duration,
            offset=offset,
            overtaken=refused and not offset,
        )

    async def _times(self) -> None:
        """Find out which timestamps are accepted, with the first door that tells."""
        reads: tuple[DoorRead, ...] = self.seen.get("reads", ())
        valid = next((read.identifier for read in reads if read.status), None)
        refused = next((read.identifier for read in reads if isinstance(read.error, InvalidHmacError)), None)
        if valid is not None:
            self.seen["lead"] = await lead_of(partial(self._read_at, valid), self._plan.max_lead)
        elif refused is not None:
            read = await earlier(partial(self._read_at, refused))
            if read:
                self.seen["reads"] = (read, *(each for each in reads if each.identifier != refused))

    async def _read_at(self, identifier: int, offset: float) -> DoorRead:
        """Read a door with a timestamp that is so many seconds ahead of the clock, or behind."""
        with self._driver(Timestamps(offset=offset, max_lead=0)) as driver:
            return await self._read(driver, identifier, offset)

    async def _habits(self, driver: Driver) -> None:
        """See what becomes of a connection that is left alone after a reply."""
        before = len(self._collector.exchanges)
        self.wire.linger = max(self._plan.linger, self._plan.pacing.light)
        try:
            await self._light(driver)
        finally:
            self.wire.linger = None
        new = self._collector.exchanges[before:]
        self.seen["habit"] = next((each for each in reversed(new) if each.reply), None)

    async def _latencies(self, driver: Driver) -> None:
        taken: list[float] = []
        for number in range(_LIGHT_REQUESTS):
            before = len(self._collector.exchanges)
            answered = await self._light(driver)
            last = self._collector.exchanges[-1] if len(self._collector.exchanges) > before else None
            if answered and last and last.reply:
                taken.append(last.seconds)
            self.seen["latencies"], self.seen["unanswered"] = tuple(taken), number + 1 - len(taken)

    async def _light(self, driver: Driver) -> bool:
        """Ask for its lockers once, or for its status while it synchronises."""
        try:
            if self._synchronizing_since is None:
                await driver.scan(self._plan.patience, wait_if_busy=False)
            else:
                await driver.status(self._plan.patience, wait_if_busy=False)
        except CoordinationError:
            raise
        except GatewayUnreachableError:
            return False
        except TheKeysError:
            return True  # busy, for example, is an answer, too
        return True

    async def _look_again(self, driver: Driver) -> None:
        """See at the end whether a synchronisation goes on."""
        since = self._synchronizing_since
        if since is None:
            return
        status, _ = await self._status(driver)
        self.seen["synchronizing_for"] = anyio.current_time() - since
        self.seen["still_synchronizing"] = status is not None and status.synchronizing
