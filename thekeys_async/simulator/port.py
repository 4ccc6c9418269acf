"""A TCP port of our own that can refuse connections from one instant to the next and come back as the same."""

import socket
import sys
from contextlib import suppress

import anyio
from anyio import TypedAttributeProvider
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.stapled import MultiListener


class Port:
    """Where a server listens, and where nobody else does while it is away.

    Args:
        host: The address to listen at.
        number: The port; 0 takes a free one, which `number` then holds for good.
    """

    def __init__(self, host: str, number: int) -> None:
        self.host = host
        self.number = number
        self._listener: MultiListener[SocketStream] | None = None
        self._placeholder: socket.socket | None = None

    async def open(self) -> MultiListener[SocketStream]:
        """Listen.

        Raises:
            OSError: The address can't be listened at.
        """
        listener = await anyio.create_tcp_listener(local_host=self.host, local_port=self.number)
        self.number = raw_socket(listener).getsockname()[1]
        self._listener = listener
        self.release()
        return listener

    def refuse(self) -> None:
        """From this instant on the system refuses connections, with no turn of the event loop in between.

        Whoever accepts from the listener gets an error and has to close it.
        """
        if self._listener is None:
            return
        for listener in self._listener.listeners:
            # Only Linux stops listening so; elsewhere the port refuses once the listener has been closed.
            with suppress(OSError):
                raw_socket(listener).shutdown(socket.SHUT_RDWR)
        self._listener = None
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


def raw_socket(holder: TypedAttributeProvider) -> socket.socket:
    """Return the socket below a stream or a listener."""
    return holder.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's extra(), not Django's
