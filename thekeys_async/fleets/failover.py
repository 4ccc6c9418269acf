"""One locker through the best of several gateways, and through the next best where that is safe.

Safe means that the error itself says that the command was not carried out and never will be.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import TypeGuard, TypeVar

import anyio
import attrs

from thekeys_async.calls.budgets import Default, checked
from thekeys_async.calls.call import Answer, ParseReply
from thekeys_async.calls.driver import Driver
from thekeys_async.gateway import AsyncGateway, driver_of
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayClosedError,
    GatewayUnreachableError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.models import RSSI
from thekeys_async.protocol.requests import Request
from thekeys_async.turns.shared import Scan

_log = logging.getLogger("thekeys_async")
_T = TypeVar("_T")

_RECENT = 60.0
_NO_SIGNAL = RSSI[0]  # a locker that is seen with no sensible RSSI ranks behind those that are heard
_TO_SCAN = 3.0
_TO_TRY = 16.0
_SEES, _UNKNOWN, _AWAY = range(3)
_PASSING = (GatewayBusyError, GatewayUnreachableError, RequestTimeoutError)


class Route:
    """The way to a locker that several gateways may reach; it makes the calls of an `AsyncLocker`.

    Args:
        gateways: All gateways, by name; looked at anew for each call.
        identifier: The locker.
        timeout: The time budget of a call in seconds, where the call gives none.
    """

    def __init__(self, gateways: Mapping[str, AsyncGateway], identifier: int, timeout: float | None) -> None:
        self._gateways = gateways
        self._identifier = identifier
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The name of the gateways together, for messages."""
        return f"the best of {len(self._gateways)} gateways"

    def seconds(self, timeout: float | Default | None) -> float | None:
        """Put the fleet's time budget in the place of the default.

        Raises:
            ValueError: The budget is not positive.
        """
        return self._timeout if isinstance(timeout, Default) else checked(timeout)

    async def ask(
        self,
        request: Request,
        parse_reply: ParseReply[_T],
        timeout: float | None,
        *,
        send_within: float | None = None,
    ) -> Answer[_T]:
        """Make one call through the best gateway, or through the next one after a failure with nothing done."""
        started = anyio.current_time()
        ends = math.inf if timeout is None else started + timeout
        send_by = math.inf if send_within is None else started + send_within
        candidates = await self._best_first(request, min(ends, send_by))
        failures: dict[Driver, TheKeysError] = {}
        for gateway, seconds, wait in _plan(candidates, failures, ends, send_by):
            own = attrs.evolve(request, code=request.code and gateway.share_code(self._identifier))
            try:
                left = None if send_within is None else send_by - anyio.current_time()
                answer = await gateway.ask(own, parse_reply, seconds, send_within=left, wait_if_busy=wait)
            except TheKeysError as error:
                if error.may_have_executed:
                    raise
                failures[gateway] = error
                _log.info("%s did nothing for locker %d: %s", gateway.name, self._identifier, error)
            else:
                return attrs.evolve(answer, duration=anyio.current_time() - started)
        raise _summary(request, failures)

    async def _best_first(self, request: Request, ends: float) -> list[Driver]:
        """Sort the gateways that have a share code, where one is needed, by how well they see the locker."""
        gateways = [driver_of(gateway) for gateway in self._gateways.values()]
        candidates = [g for g in gateways if not request.code or g.share_code(self._identifier)]
        candidates = [gateway for gateway in candidates if not gateway.closed] or candidates
        if len(candidates) > 1:
            seconds = min(_TO_SCAN, (ends - anyio.current_time()) / 4)
            async with anyio.create_task_group() as tasks:
                for gateway in candidates:
                    tasks.start_soon(_look, gateway, seconds)
            candidates.sort(key=self._rank)
        return candidates

    def _rank(self, gateway: Driver) -> tuple[int, int]:
        if gateway.closed:  # removed meanwhile
            return _AWAY, 0
        scan = gateway.shared().scan
        if not _is_recent(scan):
            return _UNKNOWN, 0
        if scan.readings is None:
            return _AWAY, 0
        seen = [reading for reading in scan.readings if reading.identifier == self._identifier]
        signals = [_NO_SIGNAL if reading.rssi is None else reading.rssi for reading in seen]
        return (_SEES, -max(signals)) if signals else (_UNKNOWN, 0)


def _is_recent(scan: Scan | None) -> TypeGuard[Scan]:
    return scan is not None and anyio.current_time() - scan.at <= _RECENT


async def _look(gateway: Driver, seconds: float) -> None:
    """Ask a gateway which lockers it sees, unless anybody has asked not long ago."""
    try:
        shared = gateway.shared()
    except GatewayClosedError:  # removed meanwhile
        return
    if _is_recent(shared.scan):
        return
    try:
        await gateway.scan(seconds, wait_if_busy=False)
    except GatewayBusyError:
        return
    except TheKeysError:
        shared.scan = Scan(anyio.current_time(), None)


def _plan(
    candidates: list[Driver], failures: Mapping[Driver, TheKeysError], ends: float, send_by: float
) -> Iterator[tuple[Driver, float | None, bool]]:
    """Plan the attempts: which gateway, for how many seconds at most, and whether to wait for a busy one.

    One that is alone gets all the time. Of several, each is tried once, and the best of those that were only busy or
    away gets what is left. After `send_by` nobody is asked; until then, each has the time to answer.
    """
    several = len(candidates) > 1
    for others, gateway in zip(range(len(candidates), 0, -1), candidates, strict=True):
        left = _left(ends, send_by)
        if left > 0:
            yield gateway, _seconds(min(left, max(_TO_TRY, left / others))), not several
    again = next((gateway for gateway, error in failures.items() if _is_passing(error)), None)
    left = _left(ends, send_by)
    if several and again and left > 0:
        yield again, _seconds(left), True


def _left(ends: float, send_by: float) -> float:
    now = anyio.current_time()
    return ends - now if now < send_by else 0.0


def _is_passing(error: TheKeysError) -> bool:
    return isinstance(error, _PASSING) and not isinstance(error, GatewayClosedError)


def _seconds(left: float) -> float | None:
    return None if left == math.inf else left


def _summary(request: Request, failures: Mapping[Driver, TheKeysError]) -> TheKeysError:
    """Choose the error that stood in the way to the end; what the others said is noted at it."""
    what = request.endpoint.name
    if not failures:
        return RequestTimeoutError(f"{what} was not sent: no gateway could be asked in time")
    errors = list(failures.values())
    chosen = next((error for error in errors if _is_passing(error)), errors[0])
    for gateway, error in failures.items():
        if error is not chosen:
            chosen.add_note(f"{gateway.name}: {error}")
    return chosen
