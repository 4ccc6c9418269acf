"""thekeys-async from end to end: turns, retries, budgets, down to typed readings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from responder import Hosts

from thekeys_async import AsyncGateway, Pacing


@asynccontextmanager
async def gateways(hosts: Hosts, count: int) -> AsyncIterator[list[Callable[[], Awaitable[object]]]]:
    async with AsyncExitStack() as stack:
        made = [
            AsyncGateway(hosts.address(n), pacing=Pacing(0, 0), key=None if hosts.distinct else f"gateway {n}")
            for n in range(count)
        ]
        for gateway in made:
            await stack.enter_async_context(gateway)
        yield [gateway.lockers for gateway in made]
