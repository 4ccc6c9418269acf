"""What a stream brings within some seconds."""

import anyio


async def take(updates, seconds: float = 1.0) -> list:
    taken = []
    with anyio.move_on_after(seconds):
        while True:
            taken.append(await anext(updates))
    return taken
