"""How the bytes of a reply go out, and whether anybody is still there to take them."""

import socket
import struct
from contextlib import suppress

import anyio
from anyio.abc import SocketStream

from thekeys_async.simulator.messages import Delivery
from thekeys_async.simulator.port import raw_socket

_ABORT = struct.pack("ii", 1, 0)


async def deliver(stream: SocketStream, head: bytes, body: bytes, delivery: Delivery, pace: float) -> None:
    """Write a reply.

    Args:
        stream: The connection.
        head: The status line and the headers.
        body: The rest.
        delivery: How the bytes go out.
        pace: Seconds between two bytes of a drip.

    Raises:
        anyio.BrokenResourceError: The client has gone.
        anyio.EndOfStream: The client has gone, from a reply that would never have come.
    """
    match delivery:
        case Delivery.WHOLE:
            await stream.send(head + body)
        case Delivery.HALF:
            await stream.send(head + body[: len(body) // 2])
        case Delivery.DRIP:
            for byte in head + body:
                await stream.send(bytes((byte,)))
                await anyio.sleep(pace)
        case Delivery.RESET:
            abort_on_close(stream)
        case Delivery.NEVER:
            while True:
                await stream.receive()


def abort_on_close(stream: SocketStream) -> None:
    """Make closing this connection a reset."""
    with suppress(OSError):  # it may have gone already
        raw_socket(stream).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)


def client_has_gone(stream: SocketStream) -> bool:
    """Look, without waiting or taking a byte, whether the other side has hung up."""
    raw = raw_socket(stream)
    number = raw.fileno()
    if number < 0:
        return True
    # asyncio hands out a socket without recv(): borrow its descriptor.
    borrowed = socket.socket(raw.family, raw.type, raw.proto, fileno=number)
    try:
        return borrowed.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        borrowed.detach()


async def wait_until_gone(stream: SocketStream, seconds: float) -> None:
    """Tell the client that this is all, and give it a moment to hang up first.

    Closing at once, with bytes of its request unread, would reset the connection and take our last reply with it.
    """
    with anyio.move_on_after(seconds), suppress(OSError):
        await stream.send_eof()
        while True:
            await stream.receive()
