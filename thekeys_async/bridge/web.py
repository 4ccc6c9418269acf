"""The web server: metrics, health and the page. It only reads; beyond this machine it wants a token."""

import base64
import binascii
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from importlib.resources import files
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import anyio
import sniffio
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from thekeys_async.bridge import clocks, page
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.metrics import CONTENT_TYPE, Metrics
from thekeys_async.bridge.web_address import WebAddress, token_of
from thekeys_async.protocol.text import printable

_log = logging.getLogger("thekeys_async.bridge")

STANDS_STILL: Final = 10.0
"""Seconds without a round of the bridge's loops after which it counts as standing still."""

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STATIC: Final = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_READERS: Final = 100
_TRY_AGAIN: Final = 5.0
_AT_MOST_EVERY: Final = 0.25
_AT_LEAST_EVERY: Final = 10.0

_Endpoint = Callable[[Request], Awaitable[Response]]


class Shown(Protocol):
    """The contents of the page; everything may change from one request to the next."""

    @property
    def devices(self) -> Devices:
        """All doors."""
        ...

    @property
    def ran_at(self) -> float:
        """The time when the bridge's loops had last run, by the event loop's clock."""
        ...

    def problems(self) -> list[str]:
        """List the reasons why the bridge does not do its work, if it does not."""
        ...

    async def next_change(self) -> None:
        """Wait for news of the devices."""
        ...


class Web:
    """The web server of one process.

    Args:
        address: Where it listens, and the token that it wants.
        metrics: The metrics.
        shown: The contents of the page.
    """

    def __init__(self, address: WebAddress, metrics: Metrics, shown: Shown) -> None:
        self._address = address
        self._metrics = metrics
        self._shown = shown
        self._readers = 0
        self._over = anyio.Event()
        pages: dict[str, _Endpoint] = {
            "/": self._page,
            "/events": self._events,
            "/metrics": self._metrics_page,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }
        routes = [Route(path, self._guarded(endpoint), methods=["GET"]) for path, endpoint in pages.items()]
        routes += [Route(f"/{name}", self._guarded(_static(name, kind))) for name, kind in _STATIC.items()]
        self.app = Starlette(routes=routes)

    async def serve(self) -> None:
        """Serve until this is cancelled.

        Where the address can't be listened at, it is tried again now and then: doors matter more than their page, and
        the bridge that has the port may be the one that is about to end.
        """
        told = False
        while True:
            try:
                await self._serve()
            except* OSError as errors:
                level = logging.DEBUG if told else logging.WARNING
                _log.log(level, "there is no page and there are no metrics: %s", printable(str(errors.exceptions[0])))
                told = True
            await anyio.sleep(_TRY_AGAIN)

    async def _serve(self) -> None:
        config = Config()
        config.accesslog = config.errorlog = None
        config.include_server_header = False
        config.graceful_timeout = 1.0
        config.h11_max_incomplete_size = 16 * 1024
        # Each loads its event loop, and they take the same.
        serve: Any = import_module(f"hypercorn.{sniffio.current_async_library()}").serve
        config.bind = [f"fd://{self._listen()}"]
        self._over = anyio.Event()

        async def work() -> None:
            with anyio.CancelScope(shield=True):  # it is told to end, as it leaves loose ends when it is cancelled
                await serve(self.app, config, shutdown_trigger=self._over.wait)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            try:
                await anyio.sleep_forever()
            finally:
                self._over.set()

    def _listen(self) -> int:
        """Open the socket, which is the server's from then on."""
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        address = (self._address.host, self._address.port)
        return socket.create_server(address, family=family, backlog=100).detach()

    def _guarded(self, endpoint: _Endpoint) -> _Endpoint:
        async def answer(request: Request) -> Response:
            if (refusal := self._refusal(request)) is not None:
                return refusal
            response = await endpoint(request)
            response.headers.update(_HEADERS)
            return response

        return answer

    def _refusal(self, request: Request) -> Response | None:
        if self._address.token is None:
            # A page of somebody else's, whose name leads here, must not read ours.
            host = _host(request.headers.get("host", ""))
            return None if host in _LOOPBACK | {self._address.host} else PlainTextResponse("another host\n", 421)
        if self._address.admits(_shown_token(request.headers.get("authorization"))):
            return None
        return PlainTextResponse(
            "a token is needed\n", 401, {"WWW-Authenticate": 'Basic realm="thekeys", charset="UTF-8"'}
        )

    async def _page(self, _request: Request) -> Response:
        text = page.page(self._shown.devices, self._shown.problems(), clocks.now().wall)
        return Response(text, media_type="text/html")

    async def _events(self, _request: Request) -> Response:
        if self._readers >= _MOST_READERS:
            return PlainTextResponse("too many readers\n", 503)
        return StreamingResponse(self._news(), media_type="text/event-stream")

    async def _news(self) -> AsyncIterator[str]:
        self._readers += 1
        said = ""
        try:
            # Many may have been let in before the first of them was counted.
            while not self._over.is_set() and self._readers <= _MOST_READERS:
                text = page.fragment(self._shown.devices, self._shown.problems(), clocks.now().wall)
                yield f"data: {json.dumps(text)}\n\n" if text != said else ": still there\n\n"
                said = text
                await anyio.sleep(_AT_MOST_EVERY)
                await self._news_or_end()
        finally:
            self._readers -= 1

    async def _news_or_end(self) -> None:
        """Wait for news or for the server's end, and not for long: ages on the page grow by themselves."""

        async def wait(what: Callable[[], Awaitable[object]]) -> None:
            await what()
            tasks.cancel_scope.cancel()

        with anyio.move_on_after(_AT_LEAST_EVERY):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, self._shown.next_change)
                tasks.start_soon(wait, self._over.wait)

    async def _metrics_page(self, _request: Request) -> Response:
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, _request: Request) -> Response:
        turns = anyio.current_time() - self._shown.ran_at < STANDS_STILL
        return PlainTextResponse("ok\n" if turns else "the bridge stands still\n", 200 if turns else 503)

    async def _readyz(self, _request: Request) -> Response:
        reasons = self._shown.problems()
        text = json.dumps({"ready": not reasons, "reasons": reasons})
        return Response(f"{text}\n", 503 if reasons else 200, media_type="application/json")


def _static(name: str, kind: str) -> _Endpoint:
    async def answer(_request: Request) -> Response:
        return Response(
            files("thekeys_async.bridge").joinpath("static", name).read_bytes(), headers={"Content-Type": kind}
        )

    return answer


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _shown_token(authorization: str | None) -> str | None:
    """Take a token from a Bearer header, or as the password of Basic, for which browsers ask people."""
    if authorization is not None:  # clients send UTF-8, and Starlette reads Latin-1
        authorization = authorization.encode("latin-1").decode(errors="replace")
    if authorization is not None and authorization.lower().startswith("basic "):
        try:
            text = base64.b64decode(authorization[6:].strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return text.partition(":")[2]
    return token_of(authorization)
