"""A connected socket to a gateway: what both the library's own wire and its httpx transport send and receive through.

It can be asked whether it is still alive, and it can be aborted: the kernel would otherwise deliver an unfinished
request when the link comes back, long after the caller was told that it failed.
"""

import contextlib
import socket
import struct

import anyio

_CHUNK = 16 * 1024
_ABORT = struct.pack("ii", 1, 0)


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
        while True:
            await anyio.wait_readable(self._socket)
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:
                continue

    def close(self, *, abort: bool = False) -> None:
        """Close the socket; with `abort`, so that nothing that is still unsent will ever be."""
        if abort:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()


def reason(error: OSError) -> str:
    """Why a connection broke, in the system's words."""
    return error.strerror or type(error).__name__
