"""A TCP port of our own that can refuse connections from one instant to the next and come back as the same."""

import socket
import sys
from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute

from thekeys_async.simulator.http.connection import Connection


class Door:
    """One listening socket. Many tasks may want the next connection; one waits for it, the others for their turn.

    Args:
        listener: Listens; belongs to the door.
    """

    def __init__(self, listener: socket.socket) -> None:
        listener.settimeout(0)
        # Connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener = listener
        self._turn = anyio.Lock(fast_acquire=True)
        self._shut = False
        self.waiting = 0
        """How many tasks want the next connection."""

    async def next(self) -> Connection | None:
        """Wait for the next connection; None once the door is shut.

        Raises:
            OSError: There can be none; too many files are open, for example.
        """
        self.waiting += 1
        try:
            async with self._turn:
                return await self._accept()
        finally:
            self.waiting -= 1
            self._close_if_done()

    def shut(self) -> None:
        """Refuse connections from this instant on, with no turn of the event loop in between."""
        self._shut = True
        # Only Linux stops listening so; elsewhere it takes until whoever waits has left.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self.waiting:
            anyio.notify_closing(self._listener)
        self._close_if_done()

    def _close_if_done(self) -> None:
        # Not under somebody who waits: the descriptor could be another socket's before that task runs again.
        if self._shut and not self.waiting:
            self._listener.close()

    async def _accept(self) -> Connection | None:
        while not self._shut:
            try:
                await anyio.wait_readable(self._listener)
                return Connection(self._listener.accept()[0])
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except (OSError, anyio.ClosedResourceError):
                if not self._shut:
                    raise
        return None


class Port:
    """Where a server listens, and where nobody else does while it is away.

    Args:
        host: The address to listen at.
        number: The port; 0 takes a free one, which `number` then holds for good.
    """

    def __init__(self, host: str, number: int) -> None:
        self.host = host
        self.number = number
        self._doors: tuple[Door, ...] = ()
        self._placeholder: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return bool(self._doors)

    async def open(self) -> tuple[Door, ...]:
        """Listen; a name may have several addresses.

        Raises:
            OSError: The address can't be listened at.
        """
        listener = await anyio.create_tcp_listener(local_host=self.host, local_port=self.number)
        sockets = [each.extra(SocketAttribute.raw_socket) for each in listener.listeners]  # noqa: S610 - not Django's
        self.number = sockets[0].getsockname()[1]
        self._doors = tuple(map(Door, sockets))
        self.release()
        return self._doors

    def refuse(self) -> None:
        """Refuse connections from this instant on, with no turn of the event loop in between."""
        if not self._doors:
            return
        for door in self._doors:
            door.shut()
        self._doors = ()
        self._placeholder = _hold(self.host, self.number)

    def release(self) -> None:
        """Give up a port that is held for the next `open()`."""
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None


def _hold(host: str, number: int) -> socket.socket | None:
    """Bind without listening, so that no outgoing connection gets the port meanwhile (Linux allows it)."""
    if sys.platform != "linux":
        return None
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, number))
    except OSError:
        holder.close()
        return None
    return holder
