"""`AsyncLocker`: one door, seen through one gateway."""

import itertools
from collections.abc import Iterator

import anyio

from thekeys_async.calls.budgets import DEFAULT, Default, checked
from thekeys_async.calls.driver import Caller, result_of
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayClosedError,
    GatewayUnreachableError,
    LockerFaultError,
    LockerNotDetectedError,
    MissingShareCodeError,
    ProtocolError,
    RequestTimeoutError,
)
from thekeys_async.protocol.models import CommandResult, DoorState, LockerStatus
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import ShareCode

_BOLT_MOVES = 3
_SHORT_PAUSE, _LONG_PAUSE = 2.0, 10.0
_PASSING = (GatewayBusyError, GatewayUnreachableError, LockerFaultError, LockerNotDetectedError, ProtocolError)


class AsyncLocker:
    """A locker on a door, driven through one gateway. Made by `AsyncGateway.locker`.

    Every method takes ``timeout=``: the seconds that queueing, retries and the request may take together; None for no
    limit. Every method may raise, beside what it names: `GatewayUnreachableError`, `GatewayBusyError`,
    `RequestTimeoutError`; those that sign also `MissingShareCodeError`, `NotSharedError`, `InvalidHmacError`,
    `LockerNotDetectedError`, `LockerIncompatibleError`, `InvalidKeyError`, `LockerFaultError`, `GatewayClockError`,
    `MissingParameterError`. ``error.may_have_executed`` says whether the door may have moved.
    """

    def __init__(self, caller: Caller, identifier: int, code: ShareCode | None) -> None:
        self._caller = caller
        self._identifier = identifier
        self._code = code

    def __repr__(self) -> str:
        return f"<AsyncLocker {self._identifier} at {self._caller.name}>"

    @property
    def identifier(self) -> int:
        """The locker's number, as printed on it."""
        return self._identifier

    async def open(
        self, *, timeout: float | Default | None = DEFAULT, send_within: float | None = None
    ) -> CommandResult:
        """Draw the bolt back.

        The reply comes after about 3 s and before the bolt has moved, about 5 s (observed): see `wait_for`.

        Args:
            timeout: Seconds, as everywhere.
            send_within: Seconds after which it does not leave any more, nor is sent again, however much of the time
                budget is left: for an order that has an age. It then ends as if its time budget were spent.

        Raises:
            OutcomeUnknownError: It was sent and no usable answer came. It was not sent again.
            ValueError: `timeout` or `send_within` is not positive.
        """
        return await self._command(endpoints.OPEN, timeout, send_within)

    async def close(
        self, *, timeout: float | Default | None = DEFAULT, send_within: float | None = None
    ) -> CommandResult:
        """Put the bolt out. See `open`."""
        return await self._command(endpoints.CLOSE, timeout, send_within)

    async def calibrate(
        self, *, timeout: float | Default | None = DEFAULT, send_within: float | None = None
    ) -> CommandResult:
        """Let the locker learn its end positions anew (observed, not on the vendor's page). It moves the bolt.

        Arguments as for `open`.
        """
        return await self._command(endpoints.CALIBRATE, timeout, send_within)

    async def status(self, *, timeout: float | Default | None = DEFAULT) -> LockerStatus:
        """Ask the locker over Bluetooth where its bolt is; about 3 s (observed), and some of its battery.

        Raises:
            ProtocolError: The answer can't be understood.
        """
        seconds = self._caller.seconds(timeout)
        request = self._signed(endpoints.LOCKER_STATUS)
        return (await self._caller.ask(request, replies.locker_status, seconds)).value

    async def wait_for(self, state: DoorState, *, timeout: float | Default | None = DEFAULT) -> LockerStatus:
        """Ask until the bolt is in a state. Faults that often pass by themselves are waited out.

        It asks at once, then every 2 s while the bolt may be moving, then less and less often, every 10 s at last: each
        read costs some of the locker's battery, and is one more for somebody to catch.

        Args:
            state: The state to wait for.
            timeout: Seconds, as everywhere.

        Raises:
            RequestTimeoutError: It was not there in time.
        """
        seconds = self._caller.seconds(timeout)
        deadline = None if seconds is None else anyio.current_time() + seconds
        seen = "nothing was heard of it"
        for pause in _pauses():
            asked_at = anyio.current_time()
            left = None if deadline is None else deadline - asked_at
            if left is not None and left <= 0:
                raise RequestTimeoutError(f"locker {self._identifier} was not {state.value} in time: {seen}")
            try:
                status = await self.status(timeout=left)
            except RequestTimeoutError:
                continue
            except GatewayClosedError:
                raise
            except _PASSING as error:
                seen = str(error)
            else:
                if status.state is state:
                    return status
                seen = f"it said {status.state.value}"
            again_at = asked_at + pause
            await anyio.sleep_until(again_at if deadline is None else min(again_at, deadline))
        raise AssertionError  # the pauses never end

    async def synchronize(self, *, timeout: float | None = 300.0) -> CommandResult:
        """Let the gateway exchange events and shares with the locker; can be slow, and may install firmware in it.

        Raises:
            InvalidSynchronizationDataError: The vendor's cloud sent nonsense.
            LockerNotDetectedError: The gateway does not see the locker.
            LockerIncompatibleError: Locker and gateway do not fit.
            LockerFaultError: The connection to the locker failed.
            OutcomeUnknownError: It was sent and no usable answer came.
        """
        return await self._command(endpoints.SYNCHRONIZE_LOCKER, timeout)

    async def update_firmware(self, *, timeout: float | None = 300.0) -> CommandResult:
        """Let the gateway install the locker's newest firmware; minutes. Raises as `synchronize` does."""
        return await self._command(endpoints.UPDATE_LOCKER, timeout)

    async def _command(
        self, endpoint: Endpoint, timeout: float | Default | None, send_within: float | None = None
    ) -> CommandResult:
        seconds = self._caller.seconds(timeout)
        request = self._signed(endpoint) if endpoint.signed else Request(endpoint, self._identifier)
        answer = await self._caller.ask(request, replies.check_done, seconds, send_within=checked(send_within))
        return result_of(answer)

    def _signed(self, endpoint: Endpoint) -> Request:
        if self._code is None:
            raise MissingShareCodeError(f"no share code is known for locker {self._identifier}; nothing was sent")
        return Request(endpoint, self._identifier, self._code)


def _pauses() -> Iterator[float]:
    """Yield the seconds from read to read of a bolt: few while it may be moving, then more and more."""
    yield from itertools.repeat(_SHORT_PAUSE, _BOLT_MOVES)
    pause = _SHORT_PAUSE
    while True:
        pause = min(_LONG_PAUSE, pause * 1.5)
        yield pause
