"""aiohttp: one session for all gateways, as its docs advise, with as many connections as there are gateways."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from responder import Hosts

_KEPT = 600.0


@asynccontextmanager
async def session(hosts: Hosts, count: int) -> AsyncIterator[list[Callable[[], Awaitable[object]]]]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT)
    async with aiohttp.ClientSession(connector=connector) as shared:

        def asking(address: str) -> Callable[[], Awaitable[object]]:
            url = f"http://{address}/lockers"

            async def ask() -> object:
                async with shared.get(url) as response:
                    return json.loads(await response.read())

            return ask

        yield [asking(hosts.address(n)) for n in range(count)]
