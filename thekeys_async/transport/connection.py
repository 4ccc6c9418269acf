"""A connection to a gateway: from an address to a connected socket, and sending and receiving through it.

A name's addresses are tried a little after one another. A connection can be asked whether it is still alive, and it can
be aborted: the kernel would otherwise deliver an unfinished request when the link comes back, long after the caller was
told that it failed.
"""

import contextlib
import errno
import functools
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from thekeys_async.protocol.address import Address

_CHUNK = 16 * 1024
_ABORT = struct.pack("ii", 1, 0)
_NEXT_ADDRESS_AFTER = 0.25
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

_MOST_LOOKUPS = 100

_SocketAddress = tuple[int, tuple[Any, ...]]
_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("thekeys_async name lookups")


class Connection:
    """A connected, non-blocking socket."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

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

    def send(self, data: bytes) -> memoryview | None:
        """Send as much as the kernel takes at once.

        Returns:
            What `send_rest` has yet to send, if anything.

        Raises:
            OSError: Not a byte was taken.
        """
        sent = self._socket.send(data)
        return None if sent == len(data) else memoryview(data)[sent:]

    async def send_rest(self, rest: memoryview) -> None:
        """Send all of what is left.

        Raises:
            OSError: The connection broke.
        """
        while rest:
            await anyio.wait_writable(self._socket)
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._socket.send(rest) :]

    async def receive(self) -> bytes:
        """Wait for what comes next; empty at the connection's end.

        Raises:
            OSError: The connection broke.
        """
        # To look costs a fraction of a wait. Where many gateways are asked at once, or one is quick, the answer is
        # there when it is this task's turn again.
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)

    def close(self, *, abort: bool = False) -> None:
        """Close the socket; with `abort`, so that nothing that is still unsent will ever be."""
        if abort:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()


def reason(error: OSError) -> str:
    """Return why a connection broke, in the system's words."""
    return error.strerror or type(error).__name__


async def connect(address: Address) -> socket.socket:
    """Open a non-blocking socket to a gateway.

    Raises:
        OSError: There is nothing to connect to, or none of the addresses of a name answers.
    """
    host = address.host.encode()  # as bytes, or Python has its own idea of which names are too long to be looked up
    addresses = _literal(host, address.port) or await _look_up(host, address.port)
    return await (_open(*addresses[0]) if len(addresses) == 1 else _race(addresses))


async def _look_up(host: bytes, port: int) -> list[_SocketAddress]:
    # A name that nobody answers for takes a thread for many seconds, whoever still waits for it. The event loop's own
    # threads are too few for that: other gateways could not be looked up, and the application would miss them, too.
    look_up = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return _addresses(await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=_lookups()))


def _lookups() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MOST_LOOKUPS)
        _limiter.set(limiter)
        return limiter


def _literal(host: bytes, port: int) -> list[_SocketAddress]:
    """Find the socket address of an IP address; none for a name. Not cached: the number of an IPv6 zone may change."""
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric))
    except socket.gaierror:
        return []


def _addresses(found: Iterable[tuple[int, int, int, str, tuple[Any, ...]]]) -> list[_SocketAddress]:
    return [(family, sockaddr) for family, _, _, _, sockaddr in found if isinstance(sockaddr[0], str)]


async def _open(family: int, sockaddr: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _enable_keepalive(sock)
        await _finish(sock, sock.connect_ex(sockaddr))
    except BaseException:
        sock.close()
        raise
    return sock


def _enable_keepalive(sock: socket.socket) -> None:
    """Let the kernel probe a silent gateway: one that has restarted in the middle resets the connection."""
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


async def _race(addresses: list[_SocketAddress]) -> socket.socket:
    """Try the addresses of a name, each a little after the one before (RFC 8305, "happy eyeballs"); the first wins."""
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def run(address: _SocketAddress, failed: anyio.Event) -> None:
        try:
            won.append(await _open(*address))
        except OSError as error:
            errors.append(error)
            failed.set()
        else:
            group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for address in addresses:
                failed = anyio.Event()
                group.start_soon(run, address, failed)
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
