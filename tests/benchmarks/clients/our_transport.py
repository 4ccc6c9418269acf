"""The library's httpx transport on its own, one a gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from responder import Hosts

from clients.through_httpx import Ask, asking
from thekeys_async import GatewayTransport


@asynccontextmanager
async def transport_each(hosts: Hosts, count: int) -> AsyncIterator[list[Ask]]:
    transports = [GatewayTransport(hosts.address(n)) for n in range(count)]
    yield [asking(transport, hosts.address(n)) for n, transport in enumerate(transports)]
    for transport in transports:
        await transport.aclose()
