"""The clients that are compared, each in a module that loads only its own library.

Each is a context manager that is given where the gateways are and hands out one function a gateway; calling it polls
that gateway once, over a connection that is kept where the client can keep one, and parses the answer's JSON.
"""

import importlib
from typing import Any

import attrs

import thekeys_async


@attrs.frozen
class Client:
    """One of those that are compared.

    Attributes:
        label: What a reader sees.
        target: ``"module:function"`` of its context manager.
        runs_on: ``"asyncio"``, ``"trio"`` or ``"threads"``.
        distribution: Whose version stands on the page.
        turns: How many processes measure it: more for those whose ratio matters.
    """

    label: str
    target: str
    runs_on: str = "asyncio"
    distribution: str | None = None
    turns: int = 1

    def load(self) -> Any:
        """Import its context manager."""
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)


OURS = "thekeys-async, asyncio"
AIOHTTP = "aiohttp"
FLOOR = "bare sockets"
OURS_ON_TRIO = "thekeys-async, trio"

_ALWAYS = (
    Client(OURS, "clients.ours:gateways", distribution="thekeys-async", turns=3),
    Client(AIOHTTP, "clients.through_aiohttp:session", distribution="aiohttp", turns=3),
    Client(OURS_ON_TRIO, "clients.ours:gateways", "trio", "trio"),
    Client("httpx, a transport each", "clients.through_httpx:transport_each", distribution="httpx"),
    Client("httpx, a client each", "clients.through_httpx:client_each", distribution="httpx"),
    Client("httpx, one client", "clients.through_httpx:shared_client", distribution="httpx"),
    Client("requests, threads", "clients.through_requests:session_each", "threads", "requests"),
    Client("the-keyspy, threads", "clients.keyspy:gateways", "threads", "the-keyspy"),
    Client(FLOOR, "clients.bare:sockets"),
)
_OUR_TRANSPORT = Client("GatewayTransport", "clients.our_transport:transport_each")


def catalogue() -> dict[str, Client]:
    """All that can be measured here, by label."""
    has_transport = hasattr(thekeys_async, "GatewayTransport")
    return {client.label: client for client in (*_ALWAYS, *([_OUR_TRANSPORT] if has_transport else []))}
