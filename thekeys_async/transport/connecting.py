"""From an address to a connected socket: one address at once, the several of a name a little after one another."""

import errno
import os
import socket
from collections.abc import Iterable
from typing import Any

import anyio

from thekeys_async.protocol.address import Address

_NEXT_ADDRESS_AFTER = 0.25
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

_Place = tuple[int, tuple[Any, ...]]


async def connect(address: Address) -> socket.socket:
    """Open a non-blocking socket to a gateway.

    Raises:
        OSError: There is nothing to connect to, or none of the addresses of a name answers.
    """
    host = address.host.encode()  # as bytes, or Python has its own idea of which names are too long to be looked up
    places = _literal(host, address.port) or await _look_up(host, address.port)
    return await (_open(*places[0]) if len(places) == 1 else _race(places))


async def _look_up(host: bytes, port: int) -> list[_Place]:
    return _places(await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _literal(host: bytes, port: int) -> list[_Place]:
    """Where an IP address is; empty for a name. Not remembered: the number of an IPv6 zone may change."""
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _places(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric))
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
