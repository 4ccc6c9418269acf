"""httpx in three ways. All share an empty TLS context: making one costs more than what is to be measured."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from responder import Hosts

Ask = Callable[[], Awaitable[object]]
_NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
_TIMEOUT = 60.0


@asynccontextmanager
async def shared_client(hosts: Hosts, count: int) -> AsyncIterator[list[Ask]]:
    """Give all gateways one client."""
    async with _client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        yield [_getting(client, hosts.address(n)) for n in range(count)]


@asynccontextmanager
async def client_each(hosts: Hosts, count: int) -> AsyncIterator[list[Ask]]:
    """Give each gateway a client of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    clients = [_client(context) for _ in range(count)]
    yield [_getting(client, hosts.address(n)) for n, client in enumerate(clients)]
    for client in clients:
        await client.aclose()


@asynccontextmanager
async def transport_each(hosts: Hosts, count: int) -> AsyncIterator[list[Ask]]:
    """Give each gateway a transport of its own, without a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transports = [httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_NO_LIMITS) for _ in range(count)]
    yield [asking(transport, hosts.address(n)) for n, transport in enumerate(transports)]
    for transport in transports:
        await transport.aclose()


def asking(transport: httpx.AsyncBaseTransport, address: str) -> Ask:
    """Make the function that polls one gateway through a transport."""
    url = f"http://{address}/lockers"

    async def ask() -> object:
        response = await transport.handle_async_request(httpx.Request("GET", url))
        body = await response.aread()
        await response.aclose()
        return json.loads(body)

    return ask


def _getting(client: httpx.AsyncClient, address: str) -> Ask:
    url = f"http://{address}/lockers"

    async def ask() -> object:
        return json.loads((await client.get(url)).content)

    return ask


def _client(context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=context, trust_env=False, limits=_NO_LIMITS, timeout=_TIMEOUT)
