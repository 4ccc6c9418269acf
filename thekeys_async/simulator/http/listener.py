"""The listening socket of a server, and the connections that clients make to it: non-blocking."""

import errno
import socket
import struct
import sys
from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute

_CHUNK = 64 * 1024
_ABORT = struct.pack("ii", 1, 0)
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_UNTIL_SOME_CLOSE = 0.1
_MOST_UNREAD = 16  # chunks


class ClientConnection:
    """One connection.

    Args:
        sock: Accepted; belongs to the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._socket = sock
        self._over = False

    async def receive(self) -> bytes:
        """Wait for bytes; none if the other side has ended the connection, however it did."""
        while True:
            await anyio.wait_readable(self._socket)
            data = self._receive()
            if data is not None:
                return data

    def _receive(self) -> bytes | None:
        if self._over:
            return b""
        try:
            return self._socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def send(self, data: bytes) -> None:
        """Hand bytes to the system; there is no wait before the first of them.

        Raises:
            OSError: The client has gone.
        """
        while unsent := data[self._send(data) :]:
            await anyio.wait_writable(self._socket)
            data = unsent

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    @property
    def client_has_gone(self) -> bool:
        """Whether the other side takes no more; looks without waiting or taking a byte.

        One that has only ended its sending still takes its reply. One that has closed its socket answers what it is
        sent with a reset, which is here at once where both are on one machine.
        """
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def end(self) -> None:
        """Tell the client that no more will come.

        Raises:
            OSError: The client has gone.
        """
        self._socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """End the connection from outside: who waits to receive gets no byte more, and has to close it."""
        self._over = True
        with suppress(OSError):  # it may have gone already
            self._socket.shutdown(socket.SHUT_RDWR)

    def abort_on_close(self) -> None:
        """Make closing this connection a reset."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)

    def close(self) -> None:
        """Close the socket; nobody may be waiting for it.

        What has come unread is taken first: the system would reset the connection for it, and clients that read to the
        end would lose their reply to a line end too many after their form.
        """
        with suppress(OSError):
            for _ in range(_MOST_UNREAD):
                if not self._socket.recv(_CHUNK):
                    break
        self._socket.close()


class Listener:
    """A listening socket. Of the tasks that want the next connection, one waits for it, the others for their turn.

    Args:
        sock: Listens; belongs to the listener.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        # Connections inherit it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._turn = anyio.Lock(fast_acquire=True)
        self._shut = False
        self.waiting = 0
        """How many tasks want the next connection."""

    async def next(self) -> ClientConnection | None:
        """Wait for the next connection; None once the listener is shut.

        Raises:
            OSError: There can be none.
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
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.waiting:
            anyio.notify_closing(self._socket)
        self._close_if_done()

    def _close_if_done(self) -> None:
        # Not under somebody who waits: the descriptor could be another socket's before that task runs again.
        if self._shut and not self.waiting:
            self._socket.close()

    async def _accept(self) -> ClientConnection | None:
        while not self._shut:
            try:
                await anyio.wait_readable(self._socket)
                return ClientConnection(self._socket.accept()[0])
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except (OSError, anyio.ClosedResourceError) as error:
                if isinstance(error, OSError) and error.errno in _TOO_MANY:
                    await anyio.sleep(_UNTIL_SOME_CLOSE)  # those who connect wait in the backlog meanwhile
                elif not self._shut:
                    raise
        return None


class Port:
    """The place at which a server listens, and nobody else does while it is away.

    Args:
        host: The address to listen at.
        number: The port; 0 takes a free one, which `number` then holds for good.
    """

    def __init__(self, host: str, number: int) -> None:
        self.host = host
        self.number = number
        self._listeners: tuple[Listener, ...] = ()
        self._placeholder: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return bool(self._listeners)

    async def open(self) -> tuple[Listener, ...]:
        """Listen; a name may have several addresses.

        Raises:
            OSError: The address can't be listened at.
        """
        bound = await anyio.create_tcp_listener(local_host=self.host, local_port=self.number)
        sockets = [each.extra(SocketAttribute.raw_socket) for each in bound.listeners]  # noqa: S610 - not Django's
        self.number = sockets[0].getsockname()[1]
        self._listeners = tuple(map(Listener, sockets))
        self.release()
        return self._listeners

    def refuse(self) -> None:
        """Refuse connections from this instant on, with no turn of the event loop in between."""
        if not self._listeners:
            return
        for listener in self._listeners:
            listener.shut()
        self._listeners = ()
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
