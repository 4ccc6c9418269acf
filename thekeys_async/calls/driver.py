"""The `Driver`: makes all calls of an `AsyncGateway`, of its lockers, its watchers and its fleets."""

import functools
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
import attrs

from thekeys_async.calls.budgets import Default, checked
from thekeys_async.calls.call import Answer, Call, ParseReply
from thekeys_async.calls.observing import CallObserver, Observer
from thekeys_async.calls.open_calls import OpenCalls
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import (
    GatewayClosedError,
    GatewayUnreachableError,
    ProtocolError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.models import CommandResult, GatewayStatus, LockerReading
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.transport.wire import Wire
from thekeys_async.turns import shared
from thekeys_async.turns.shared import Scan, SharedGateway, SharedSettings

if TYPE_CHECKING:
    from thekeys_async.calls.recorder import Recorder

_log = logging.getLogger("thekeys_async")
_T = TypeVar("_T")
_TO_INVALIDATE = 16.0  # a read over Bluetooth, and its rest
_LOCKERS = Request(endpoints.LOCKERS)
_STATUS, _ROOT_STATUS = Request(endpoints.STATUS), Request(endpoints.ROOT_STATUS)


class Caller(Protocol):
    """A locker's way to make calls: through one gateway, or through the best of several."""

    @property
    def name(self) -> str:
        """The name for messages."""
        ...

    def seconds(self, timeout: float | Default | None) -> float | None:
        """Return the time budget in seconds, its own for the default; ValueError if a budget is not positive."""
        ...

    async def ask(
        self,
        request: Request,
        parse_reply: ParseReply[_T],
        timeout: float | None,
        *,
        send_within: float | None = None,
    ) -> Answer[_T]:
        """Make one call; see `Driver.ask`."""
        ...


@attrs.define(eq=False)
class Driver:
    """Makes the calls of one `AsyncGateway`.

    Attributes:
        name: The gateway's name in messages and updates.
        address: Where it is.
        key: The gateway's identity, where it has several addresses.
        observer: Told of what happens, if anybody observes.
        recorder: Takes down what happens on the wire, if anybody records.
    """

    name: str
    address: Address
    key: str
    observer: Observer | None
    recorder: "Recorder | None"
    _settings: SharedSettings = attrs.field(alias="settings")
    _timeout: float | None = attrs.field(alias="timeout")
    _codes: Mapping[int, ShareCode] = attrs.field(alias="codes", repr=False)
    _own_wire: Wire | None = attrs.field(alias="own_wire")
    _recover_clock: bool = attrs.field(alias="recover_clock")
    _calls: OpenCalls = attrs.field(factory=OpenCalls, init=False)
    _shared: SharedGateway | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        shared.check_if_in_use(self.key, self._settings)

    @property
    def closed(self) -> bool:
        """Whether no more calls are made."""
        return self._calls.closed

    def close(self) -> None:
        """Make no more calls: queued requests are not sent, those on the wire end as they would have."""
        self._calls.close()
        joined, self._shared = self._shared, None
        if joined:
            joined.leave()

    async def wait_until_over(self) -> None:
        """Wait for the calls that are on the wire."""
        await self._calls.wait_until_over()

    def shared(self) -> SharedGateway:
        """Get the state that all objects of this gateway share in this event loop.

        Raises:
            GatewayClosedError: This object is closed.
            ValueError: Others use the gateway with other settings.
        """
        if self._calls.closed:
            raise GatewayClosedError(f"nothing was sent: the gateway object {self.name!r} is closed")
        if self._shared is None or shared.find(self.key) is not self._shared:
            if self._shared:
                self._shared.close()
            self._shared = shared.join(self.key, self._settings)
        return self._shared

    def seconds(self, timeout: float | Default | None) -> float | None:
        """Return the time budget in seconds, the gateway's own for the default.

        Raises:
            ValueError: The budget is not positive.
        """
        return self._timeout if isinstance(timeout, Default) else checked(timeout)

    def share_code(self, identifier: int) -> ShareCode | None:
        """Get the share code that was given for a locker, wrapped so that nothing shows it."""
        return self._codes.get(identifier)

    async def ask(
        self,
        request: Request,
        parse_reply: ParseReply[_T],
        timeout: float | None,
        *,
        send_within: float | None = None,
        wait_if_busy: bool = True,
    ) -> Answer[_T]:
        """Make one call.

        Args:
            request: The request.
            parse_reply: Makes a value of the reply.
            timeout: The time budget in seconds, or None.
            send_within: Seconds after which it is not sent any more; None if its time budget alone says so.
            wait_if_busy: Whether it is asked again when the gateway is busy, hangs or is not there.
        """
        return await self._ask(
            self.shared(), request, parse_reply, timeout, send_within=send_within, wait_if_busy=wait_if_busy
        )

    async def scan(self, timeout: float | None, *, wait_if_busy: bool = True) -> tuple[LockerReading, ...]:
        """List the lockers that the gateway sees; all objects of this gateway share the result."""
        shared = self.shared()
        try:
            answer = await self._ask(
                shared, _LOCKERS, replies.lockers, timeout, coalesce=True, wait_if_busy=wait_if_busy
            )
        except (GatewayUnreachableError, ProtocolError):
            shared.scan = Scan(anyio.current_time(), None)
            raise
        scanned = answer.value
        if scanned.left_out and not shared.warned_of_odd_devices:
            shared.warned_of_odd_devices = True
            _log.warning("%s: left out %d devices without a usable identifier", self.name, scanned.left_out)
        shared.scan = Scan(answer.at, scanned.readings)
        return scanned.readings

    async def status(self, timeout: float | None, *, wait_if_busy: bool = True) -> GatewayStatus:
        """Ask for the gateway's status, on old firmware at its old path; all objects of this gateway share it."""
        shared, began = self.shared(), anyio.current_time()
        first = await self._ask(shared, _STATUS, _status_if_known, timeout, coalesce=True, wait_if_busy=wait_if_busy)
        status = first.value
        if status is None:
            left = None if timeout is None else timeout - (anyio.current_time() - began)
            if left is not None and left <= 0:
                raise RequestTimeoutError(f"status: no answer within {timeout:g} s")
            second = await self._ask(
                self.shared(), _ROOT_STATUS, replies.gateway_status, left, coalesce=True, wait_if_busy=wait_if_busy
            )
            status = second.value
        shared.note_status(status)
        return status

    async def _ask(
        self,
        shared: SharedGateway,
        request: Request,
        parse_reply: ParseReply[_T],
        timeout: float | None,
        *,
        send_within: float | None = None,
        coalesce: bool = False,
        wait_if_busy: bool = True,
    ) -> Answer[_T]:
        """Make one call; beyond the arguments of `ask`, see `Call.run`."""
        call = self._call(shared, request, parse_reply)
        answer = await call.run(timeout, send_within=send_within, coalesce=coalesce, wait_if_busy=wait_if_busy)
        if shared.unanswered.request and not request.endpoint.command:
            await self._invalidate_unanswered(shared, math.inf if timeout is None else timeout - answer.duration)
        return answer

    async def _invalidate_unanswered(self, shared: SharedGateway, left: float) -> None:
        """Send a newer signed read, which invalidates the hash of an unanswered one: somebody may have caught it.

        The gateway has just answered another read. This one goes before all other reads; a caller with too little time
        left leaves it to the next. One that fails is tried again less and less often.
        """
        unanswered = shared.unanswered
        request = unanswered.request
        if request is None or self.closed or unanswered.invalidating or left < _TO_INVALIDATE:
            return
        if anyio.current_time() < unanswered.next_try:
            return
        unanswered.invalidating = True
        try:
            call = self._call(shared, request, replies.locker_status)
            await call.run(min(left, _TO_INVALIDATE), wait_if_busy=False, first=True)
        except TheKeysError as error:
            _log.debug("%s: a signed read that got no answer is still not invalidated: %s", self.name, error)
        finally:
            unanswered.invalidating = False
            if unanswered.request:
                unanswered.try_later(anyio.current_time())

    def _call(self, shared: SharedGateway, request: Request, parse_reply: ParseReply[_T]) -> Call[_T]:
        observer = None
        if self.observer is not None:
            observer = CallObserver(self.observer, self.name, request.endpoint.name, request.identifier)
        return Call(
            shared,
            self._own_wire or shared.wire(self.address),
            request,
            parse_reply,
            open_calls=self._calls,
            recover_clock=self._recover_clock,
            observer=observer,
            recorder=functools.partial(self.recorder.take_down, self.name) if self.recorder is not None else None,
        )


def _status_if_known(endpoint: Endpoint, reply: Reply) -> GatewayStatus | None:
    try:
        return replies.gateway_status(endpoint, reply)
    except ProtocolError:
        if replies.has_no_such_request(reply):
            return None
        raise


def result_of(answer: Answer[None]) -> CommandResult:
    """Make the result of a command."""
    return CommandResult(answer.timestamp, answer.attempts, answer.duration)
