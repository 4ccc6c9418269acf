"""Listening to the wire while a check asks: every exchange as it was, and one look at what follows a reply."""

import io
from collections.abc import Callable

import anyio

from thekeys_async.calls.attempt import CallAttempt
from thekeys_async.calls.recorder import Recorder
from thekeys_async.cli.check.observations import ObservedExchange
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.errors import GatewayBusyError, InvalidHmacError
from thekeys_async.protocol.replies import Reply
from thekeys_async.transport.wire import Attempt, ExchangeTrace, Prepare, SocketWire

_STEPS = 10
_TOO_SLOW = 1.5
"""Seconds for a reply, from which on one turn is too short for a second."""


class OutOfRequests(Exception):  # noqa: N818 - the end of a check, not an error
    """The end of a check that has asked as often as it may."""


class LookingWire:
    """The library's own wire; it counts, and when told to it sees what the gateway does with a kept connection.

    Args:
        address: The gateway's address.
        most: How many requests may be sent; None for any number.
        over: Told of the first of two exchanges in one turn, of which nobody else hears.

    Attributes:
        most: As above; may be changed.
        requests: How many have been sent.
        linger: Seconds to wait after the next reply before the same is asked once more, over the same connection if
            that is still there, all in one turn, unless the reply took long; None for not at all.
    """

    def __init__(self, address: Address, most: int | None, over: Callable[[CallAttempt], None]) -> None:
        self.most = most
        self.requests = 0
        self.linger: float | None = None
        self._inner = SocketWire(address)
        self._over = over

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        """See `thekeys_async.transport.wire.Wire.exchange`.

        Raises:
            OutOfRequests: Nothing was sent: no request is left.
        """
        began = anyio.current_time()
        reply = await self._once(prepare, attempt, fresh=fresh)
        seconds, self.linger = self.linger, None
        if seconds is None or anyio.current_time() - began > _TOO_SLOW:
            return reply
        if isinstance(attempt, CallAttempt):
            self._over(attempt)
        for _ in range(_STEPS):  # a simulated gateway in this event loop needs its turns after the loop has stood still
            await anyio.sleep(seconds / _STEPS)
        attempt.trace = ExchangeTrace()
        if isinstance(attempt, CallAttempt):
            attempt.began = anyio.current_time()
        return await self._once(prepare, attempt, fresh=False)

    async def _once(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        if self.most is not None and self.requests >= self.most:
            raise OutOfRequests
        before, attempt.sent = attempt.sent, False
        try:
            return await self._inner.exchange(prepare, attempt, fresh=fresh)
        finally:
            self.requests += attempt.sent
            attempt.sent = attempt.sent or before

    def drop(self) -> None:
        """See `thekeys_async.transport.wire.Wire.drop`."""
        self._inner.drop()

    def close(self) -> None:
        """Close the kept connection."""
        self._inner.close()


class ExchangeCollector(Recorder):
    """Takes down every exchange as it was, for the findings; and for a recording, if there is to be one.

    Args:
        recorder: The recorder, or None.

    Attributes:
        exchanges: All so far.
    """

    def __init__(self, recorder: Recorder | None) -> None:
        super().__init__(io.StringIO())
        self.exchanges: list[ObservedExchange] = []
        self._recorder = recorder

    def take_down(self, gateway: str, tried: CallAttempt) -> None:
        """See `Recorder.take_down`."""
        if self._recorder:
            self._recorder.take_down(gateway, tried)
        trace = tried.trace
        if trace is None or (tried.error is None and not tried.sent):
            return
        connected = None if trace.kept or trace.sent_at is None else trace.sent_at - tried.began
        ended = trace.pieces[-1][0] if trace.pieces else anyio.current_time()
        self.exchanges.append(
            ObservedExchange(
                action=tried.request.endpoint.name,
                seconds=max(0.0, ended - tried.began),
                connected_after=connected,
                sent=tried.sent,
                reply=b"".join(data for _, data in trace.pieces),
                kept=trace.kept,
                found_closed=trace.found_closed,
                ended=trace.ended,
                busy=isinstance(tried.error, GatewayBusyError),
                refused=isinstance(tried.error, InvalidHmacError),
            )
        )
