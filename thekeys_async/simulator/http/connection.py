"""One connection that somebody has made to a simulation: a non-blocking socket."""

import socket
import struct
from contextlib import suppress

import anyio

_CHUNK = 64 * 1024
_ABORT = struct.pack("ii", 1, 0)


class Connection:
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
        """Whether the other side has hung up; looks without waiting or taking a byte."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

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
        """Close the socket; nobody may be waiting for it."""
        self._socket.close()
