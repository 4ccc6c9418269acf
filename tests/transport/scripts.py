"""Servers of a script, and requests through `GatewayTransport`, for the tests of the transport."""

import functools
import socket
from collections.abc import Callable

import httpx
import pytest
from anyio.abc import SocketStream

from thekeys_async import GatewayTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def always(answer: bytes) -> Callable:
    async def script(stream: SocketStream, _number: int) -> None:
        await stream.send(answer)

    return script


def then_close(answer: bytes) -> Callable:
    async def script(stream: SocketStream, _number: int) -> None:
        await stream.send(answer)
        await stream.aclose()

    return script


def name_server(monkeypatch: pytest.MonkeyPatch, names: dict[str, Callable[[], list]]) -> None:
    """Look these names up by calling something, in the thread where the system would look them up."""
    of_the_system = socket.getaddrinfo

    @functools.wraps(of_the_system)
    def look_up(host: bytes | str, *arguments: object, **options: object) -> list:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in names or options.get("flags"):
            return of_the_system(host, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in names[name]()]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def request_for(address: str, method: str = "GET", **options: object) -> httpx.Request:
    return httpx.Request(method, f"http://{address}/lockers", **options)


async def ask(transport: GatewayTransport, address: str, method: str = "GET", **options: object) -> bytes:
    return await (await transport.handle_async_request(request_for(address, method, **options))).aread()


async def fails(
    transport: GatewayTransport, request: httpx.Request, error: type[httpx.TransportError], *, sent: bool
) -> httpx.TransportError:
    with pytest.raises(httpx.TransportError) as caught:
        await transport.handle_async_request(request)
    assert isinstance(caught.value, error)
    assert request.extensions["sent"] is sent
    assert caught.value.request is request
    return caught.value
