"""One HTTP connection to one gateway, on a socket of its own.

It knows for certain whether a byte of a request may have reached the gateway, asks a kept connection whether it is
still alive before it is used, and aborts a connection that is given up with a request outstanding: the kernel would
otherwise deliver the request when the link comes back, long after the caller was told that it failed.
"""

import contextlib
import errno
import functools
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import attrs

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.http import HttpError, IncompleteError, ReplyReader, request_bytes
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Outgoing

_CHUNK = 8 * 1024
_CONNECT_SECONDS = 5.0
_NEXT_ADDRESS_AFTER = 0.25
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_ABORT = struct.pack("ii", 1, 0)


class ExchangeError(Exception):
    """An exchange that brought no usable answer; never seen by callers of the library."""


class NotSentError(ExchangeError):
    """No byte of the request has reached the gateway."""


class NoAnswerError(ExchangeError):
    """The request may have reached the gateway, and no complete answer came."""


class UnusableAnswerError(ExchangeError):
    """An answer came that breaks HTTP or the limits of this library."""


@attrs.define
class Attempt:
    """What has become of one request so far.

    Attributes:
        sent: Whether any byte of it may have reached the gateway.
    """

    sent: bool = False


Prepare = Callable[[], Outgoing]
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

    def close(self) -> None:
        """Close the kept connection, and keep none from now on."""
        ...


class SocketWire:
    """The library's own wire: one non-blocking socket."""

    def __init__(self, address: Address, before_use: "Callable[[SocketWire], None] | None" = None) -> None:
        self._address = address
        self._before_use = before_use
        self._kept: _Connection | None = None
        self._closed = False

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        """See `Wire.exchange`."""
        if self._before_use:
            self._before_use(self)
        connection = self._take_kept(fresh=fresh) or _Connection(await _connect(self._address), self._address)
        try:
            if fresh:
                # Who has been cancelled while it was about to run again must not move a door.
                await anyio.lowlevel.checkpoint_if_cancelled()
                connection.check_silent()
            reply = await connection.exchange(prepare, attempt)
        except BaseException:
            connection.close(abort=attempt.sent)
            raise
        if connection.reusable and not self._closed:
            self._kept = connection
        else:
            connection.close()
        return reply

    def close(self) -> None:
        """See `Wire.close`."""
        self._closed = True
        self.drop()

    def _take_kept(self, *, fresh: bool) -> "_Connection | None":
        # A gateway may serve one connection at a time: the old one goes before a new one comes.
        if fresh or (self._kept and not self._kept.alive):
            self.drop()
        connection, self._kept = self._kept, None
        return connection

    def drop(self) -> None:
        """Close the kept connection; the next request takes a new one."""
        if self._kept:
            self._kept.close()
            self._kept = None


class _Connection:
    """A connected socket."""

    def __init__(self, sock: socket.socket, address: Address) -> None:
        self._socket = sock
        self._host = address.authority.encode("ascii")
        self.reusable = False

    @property
    def alive(self) -> bool:
        """Whether the gateway has neither closed the connection nor said anything unasked."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def check_silent(self) -> None:
        """Check that nothing can be taken for the answer to what is yet to be asked.

        Raises:
            NotSentError: The gateway has hung up, or has spoken already.
        """
        if not self.alive:
            raise NotSentError("the gateway hung up, or spoke before it was asked")

    def close(self, *, abort: bool = False) -> None:
        """Close the socket; with `abort`, so that nothing that is still unsent will ever be."""
        if abort:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()

    async def exchange(self, prepare: Prepare, attempt: Attempt) -> Reply:
        self.reusable = False
        await self._send(prepare, attempt)
        reader = ReplyReader()
        try:
            while (reply := reader.feed(await self._receive())) is None:
                pass
        except HttpError as error:
            raise UnusableAnswerError(str(error)) from None
        except IncompleteError:
            raise NoAnswerError("the connection was closed before the end of the answer") from None
        except OSError as error:
            raise NoAnswerError(f"the connection broke before the answer ({_reason(error)})") from None
        self.reusable = reader.reusable
        return reply

    async def _send(self, prepare: Prepare, attempt: Attempt) -> None:
        unsent = request_bytes(prepare(), self._host)
        attempt.sent = True
        try:
            unsent = unsent[self._socket.send(unsent) :]
        except OSError as error:
            attempt.sent = False
            raise NotSentError(f"the connection was gone ({_reason(error)})") from None
        while unsent:
            await anyio.wait_writable(self._socket)
            try:
                unsent = unsent[self._socket.send(unsent) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise NoAnswerError(f"the connection broke ({_reason(error)})") from None

    async def _receive(self) -> bytes:
        while True:
            await anyio.wait_readable(self._socket)
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:
                continue


async def _connect(address: Address) -> socket.socket:
    """Open a connection.

    Raises:
        NotSentError: There is none within 5 s, and why.
    """
    with anyio.move_on_after(_CONNECT_SECONDS):
        try:
            places = await _look_up(address)
            return await (_open(*places[0]) if len(places) == 1 else _race(places))
        except OSError as error:
            raise NotSentError(f"no connection to {address} ({_reason(error)})") from None
    raise NotSentError(f"no connection to {address} within {_CONNECT_SECONDS:.0f} s")


_Place = tuple[int, tuple[Any, ...]]


async def _look_up(address: Address) -> list[_Place]:
    return _literal(address) or _places(await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))


@functools.lru_cache(maxsize=16_384)
def _literal(address: Address) -> list[_Place]:
    """Where an IP address is; empty for a name."""
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _places(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=numeric))
    except socket.gaierror:
        return []


def _places(found: Iterable[tuple[int, int, int, str, tuple[Any, ...]]]) -> list[_Place]:
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]


async def _open(family: int, sockaddr: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _notice_death(sock)
        await _finish(sock, sock.connect_ex(sockaddr))
    except BaseException:
        sock.close()
        raise
    return sock


def _notice_death(sock: socket.socket) -> None:
    """Let the kernel ask a silent gateway whether it is there: one that has restarted in the middle says no."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _finish(sock: socket.socket, error: int) -> None:
    if error in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
        await anyio.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


async def _race(places: list[_Place]) -> socket.socket:
    """Try the addresses of a name one after the other, each a little after the one before; the first wins."""
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def run(place: _Place, failed: anyio.Event) -> None:
        try:
            won.append(await _open(*place))
        except OSError as error:
            errors.append(error)
            failed.set()
        else:
            group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for place in places:
                failed = anyio.Event()
                group.start_soon(run, place, failed)
                with anyio.move_on_after(_NEXT_ADDRESS_AFTER):
                    await failed.wait()
    except BaseException:
        _close_all(won)
        raise
    if not won:
        raise errors[0]
    _close_all(won[1:])
    return won[0]


def _close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
