"""The library's own wire: one HTTP connection to one gateway, and the state of a request that failed.

It knows for certain whether a byte of a request may have reached the gateway, asks a kept connection whether it is
still alive before it is used, and aborts a connection that is given up with a request outstanding.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import anyio
import anyio.lowlevel
import attrs

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.reading import ReplyReader
from thekeys_async.protocol.replies import HttpError, IncompleteError, Reply
from thekeys_async.protocol.requests import SignedRequest, common_headers, request_bytes
from thekeys_async.transport.connection import Connection, connect, reason

CONNECT_SECONDS = 5.0


class ExchangeError(Exception):
    """An exchange that brought no usable answer; never seen by callers of the library."""


class NotSentError(ExchangeError):
    """No byte of the request has reached the gateway."""


class NoAnswerError(ExchangeError):
    """The request may have reached the gateway, and no complete answer came."""


class UnusableAnswerError(ExchangeError):
    """An answer came that breaks HTTP or the limits of this library."""


@attrs.define
class ExchangeTrace:
    """The events on the connection during one exchange, times in the event loop's.

    Attributes:
        kept: Whether the connection was one that the gateway had kept open.
        found_closed: Whether a connection that was kept turned out to be closed when it was to be used again.
        sent_at: When the first byte left.
        pieces: The pieces of the reply, and their times.
        ended: How it ended: the gateway keeps the connection, says that it closes it, closes it, or it broke.
    """

    kept: bool = False
    found_closed: bool = False
    sent_at: float | None = None
    pieces: list[tuple[float, bytes]] = attrs.field(factory=list[tuple[float, bytes]])
    ended: str = "given up"

    def add(self, data: bytes) -> None:
        """Add what came; nothing comes at the connection's end."""
        if data:
            self.pieces.append((anyio.current_time(), data))
        else:
            self.ended = "closed by the gateway"


@attrs.define
class Attempt:
    """The state of one request so far.

    Attributes:
        sent: Whether any byte of it may have reached the gateway.
        send_by: When its first byte must have left, in the event loop's time. `Prepare` sees to that; this is for a
            wire that can't call it right before the first byte.
        trace: The events on the connection, for a recording; None if nobody records.
    """

    sent: bool = False
    send_by: float = math.inf
    trace: ExchangeTrace | None = None

    def departure(self) -> AbstractContextManager[None]:
        """Enter around the sending of the first byte; what this raises is raised, and nothing is sent."""
        return nullcontext()


Prepare = Callable[[], SignedRequest]
"""Makes the request at the last moment. Nothing is awaited between it and the first byte."""


class Wire(Protocol):
    """A way to exchange one request at a time with one gateway."""

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        """Send a request and read the answer.

        Args:
            prepare: Makes the request; what it raises is raised, and nothing is sent.
            attempt: Told as soon as a byte may leave.
            fresh: Whether to open a new connection for it instead of using the kept one.

        Raises:
            ExchangeError: There is no usable answer; the subclass says how far it came.
        """
        ...

    def drop(self) -> None:
        """Close the connection that is kept, if one is; the next request takes a new one."""
        ...


class SocketWire:
    """One non-blocking socket, and the connection that is kept on it between two requests.

    Args:
        address: The gateway's address.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._headers = common_headers(address.authority)
        self._kept: Connection | None = None
        self._closed = False

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        """See `Wire.exchange`."""
        had_one = self._kept is not None
        kept = self.take_kept(fresh=fresh)
        if trace := attempt.trace:
            trace.kept, trace.found_closed = kept is not None, had_one and kept is None and not fresh
        connection = kept or await _connected(self.address)
        reader = ReplyReader()
        reply = None
        try:
            if kept:
                await anyio.lowlevel.checkpoint_if_cancelled()
            request = request_bytes(prepare(), self._headers)
            try:
                with attempt.departure():
                    rest = _send(connection, request, attempt)
            finally:
                del request  # it holds the hash, and this frame is shown while it waits and when it fails
            if trace:
                trace.sent_at = anyio.current_time()
            if rest:
                await connection.send_rest(rest)
            while reply is None:
                data = await connection.receive()
                if trace:
                    trace.add(data)
                reply = reader.feed(data)
        except BaseException as error:
            connection.close(abort=attempt.sent)
            if attempt.sent and isinstance(error, HttpError | IncompleteError | OSError):
                raise _without_usable_answer(error, trace) from None
            raise
        if trace and trace.ended == "given up":
            trace.ended = "kept" if reader.reusable else "to be closed"
        self.give_back(connection, reusable=reader.reusable)
        return reply

    def take_kept(self, *, fresh: bool) -> Connection | None:
        """Take the kept connection if there is a good one.

        Args:
            fresh: Whether none is wanted. A gateway may serve one connection at a time: the old one goes before a
                new one comes.
        """
        connection, self._kept = self._kept, None
        if connection and (fresh or not connection.alive):
            connection.close()
            return None
        return connection

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        """Keep a connection for the next request if it can serve one."""
        if reusable and not self._closed:
            self.drop()
            self._kept = connection
        else:
            connection.close()

    def drop(self) -> None:
        """See `Wire.drop`."""
        if self._kept:
            self._kept.close()
            self._kept = None

    def close(self) -> None:
        """Close the kept connection, and keep none from now on."""
        self._closed = True
        self.drop()


async def _connected(address: Address) -> Connection:
    """Open a connection for a request that is sent at once."""
    connection = await _opened(address)
    try:
        # A task cancelled while it waited to run must not send a command.
        await anyio.lowlevel.checkpoint_if_cancelled()
        _check_silent(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def _opened(address: Address) -> Connection:
    with anyio.move_on_after(CONNECT_SECONDS):
        try:
            return Connection(await connect(address))
        except OSError as error:
            raise NotSentError(f"no connection to {address} ({reason(error)})") from None
    raise NotSentError(f"no connection to {address} within {CONNECT_SECONDS:.0f} s")


def _check_silent(connection: Connection) -> None:
    """Check that nothing can be taken for the answer to what is yet to be asked."""
    if not connection.alive:
        raise NotSentError("the gateway hung up, or spoke before it was asked")


def _send(connection: Connection, request: bytes, attempt: Attempt) -> memoryview | None:
    """Send what the kernel takes at once; return the rest."""
    attempt.sent = True
    try:
        return connection.send(request)
    except OSError as error:
        attempt.sent = False
        raise NotSentError(f"the connection was gone ({reason(error)})") from None


def _without_usable_answer(error: HttpError | IncompleteError | OSError, trace: ExchangeTrace | None) -> ExchangeError:
    """Make the error of a request that was sent."""
    if isinstance(error, HttpError):
        return UnusableAnswerError(str(error))
    if isinstance(error, IncompleteError):
        return NoAnswerError("the connection was closed before the end of the answer")
    if trace:
        trace.ended = f"broken: {reason(error)}"
    return NoAnswerError(f"the connection broke before the answer ({reason(error)})")
