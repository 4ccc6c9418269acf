"""How the bytes of a reply go out, and whether anybody is still there to take them."""

from contextlib import suppress

import anyio

from thekeys_async.simulator.http.connection import Connection
from thekeys_async.simulator.http.messages import Delivery


async def deliver(connection: Connection, head: bytes, body: bytes, delivery: Delivery, pace: float) -> bool:
    """Write a reply.

    Args:
        connection: Where to.
        head: The status line and the headers.
        body: The rest.
        delivery: How the bytes go out.
        pace: Seconds between two bytes of a drip.

    Returns:
        Whether the client was there to take it; for a reply that never comes, it will have gone.
    """
    if delivery is not Delivery.NEVER and connection.client_has_gone:
        return False
    try:
        match delivery:
            case Delivery.WHOLE:
                await connection.send(head + body)
            case Delivery.HALF:
                await connection.send(head + body[: len(body) // 2])
            case Delivery.DRIP:
                for byte in head + body:
                    await connection.send(bytes((byte,)))
                    await anyio.sleep(pace)
            case Delivery.RESET:
                connection.abort_on_close()
            case Delivery.NEVER:
                while await connection.receive():
                    pass
                return False
    except OSError:
        return False
    return True


async def wait_until_gone(connection: Connection, seconds: float) -> None:
    """Tell the client that this is all, and give it a moment to hang up first.

    Closing at once, with bytes of its request unread, would reset the connection and take our last reply with it.
    """
    with anyio.move_on_after(seconds), suppress(OSError):
        connection.end()
        while await connection.receive():
            pass
