"""Which clients there are, and what a reader sees of them."""

import attrs

import thekeys_async


@attrs.frozen
class Client:
    """One of those that are compared.

    Attributes:
        label: What a reader sees.
        target: ``"module:function"`` of its context manager.
        runs_on: ``"asyncio"``, ``"trio"`` or ``"threads"``.
        turns: How many processes measure it: more for those whose ratio matters.
    """

    label: str
    target: str
    runs_on: str = "asyncio"
    turns: int = 1


OURS = "thekeys-async, asyncio"
AIOHTTP = "aiohttp"
FLOOR = "bare sockets"
OURS_ON_TRIO = "thekeys-async, trio"

_ALWAYS = (
    Client(OURS, "clients.ours:gateways", turns=3),
    Client(AIOHTTP, "clients.through_aiohttp:session", turns=3),
    Client(OURS_ON_TRIO, "clients.ours:gateways", "trio", turns=3),
    Client("httpx, a transport each", "clients.through_httpx:transport_each"),
    Client("httpx, a client each", "clients.through_httpx:client_each"),
    Client("httpx, one client", "clients.through_httpx:shared_client"),
    Client("requests, threads", "clients.through_requests:session_each", "threads"),
    Client("the-keyspy, threads", "clients.keyspy:gateways", "threads"),
    Client(FLOOR, "clients.bare:sockets"),
)
_OUR_TRANSPORT = Client("GatewayTransport", "clients.our_transport:transport_each")


def catalogue() -> dict[str, Client]:
    """All that can be measured here, by label."""
    has_transport = hasattr(thekeys_async, "GatewayTransport")
    return {client.label: client for client in (*_ALWAYS, *([_OUR_TRANSPORT] if has_transport else []))}
