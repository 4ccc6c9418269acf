"""A simulated cloud: a real HTTP server on loopback with one account, linked with simulated gateways."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

import anyio
import attrs

from thekeys_async.simulator.cloud.service import CALLS, CloudService, CloudSettings, route
from thekeys_async.simulator.cloud.tables import (
    GATEWAY,
    KEYPAD,
    CloudAccessory,
    CloudPersonShare,
    CloudShare,
    CloudTables,
)
from thekeys_async.simulator.faults import Fault, spoil
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.http.messages import HttpRequest, HttpResponse
from thekeys_async.simulator.http.server import serve

_DRIP = 0.001
_MOST_REQUESTS = 100_000


@attrs.frozen
class CloudRequest:
    """One web call, as it was met.

    Attributes:
        call: The name of the call: `"login"`, `"create"`...; empty for a path that is not known.
        method: Of HTTP.
        path: Of HTTP.
    """

    call: str
    method: str
    path: str


@attrs.define
class _PlannedFault:
    """A fault that the next web calls meet."""

    change: Callable[[HttpResponse], HttpResponse]
    acts: bool
    on: str | None
    left: int


class SimulatedCloud:
    """A cloud for tests and demonstrations; an async context manager that serves while it is entered.

    A share that is made here works at a linked gateway once that gateway, or the locker, has been synchronised: until
    then the gateway answers 32. A locker with `synchronized=False` refuses it with 36 until it has been synchronised
    itself.

    Args:
        gateways: The gateways of the account; their lockers are the account's.
        username: The account's phone number.
        password: Its password.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        token_life: Seconds for which a token is good.
        delay: Seconds that each web call takes.
        clock: Its wall clock, in seconds since 1970.
        lockers_too: Whether a share that a gateway has just learnt is also news to the locker, so that it refuses with
            36 until it has been synchronised itself.
        seed: Of the unknown fields that come and go in its answers.

    Attributes:
        settings: The ways given above; may be changed at any time.
        requests: Every web call so far, the newest 100 000 of them.
    """

    def __init__(
        self,
        gateways: Iterable[SimulatedGateway] = (),
        *,
        username: str = "+33612345678",
        password: str = "simulated",  # noqa: S107 - of a simulation
        host: str = "127.0.0.1",
        port: int = 0,
        token_life: float = 3600.0,
        delay: float = 0.0,
        clock: Callable[[], float] = time.time,
        lockers_too: bool = False,
        seed: int = 0,
    ) -> None:
        self.settings = CloudSettings(username, password, token_life, delay=delay, clock=clock)
        self.requests: list[CloudRequest] = []
        self._host, self._port = host, port
        self._lockers_too = lockers_too
        self._tables = CloudTables()
        self._service = CloudService(self._tables, self.settings, Random(seed))  # noqa: S311 - repeatable, no secret
        self._planned_faults: list[_PlannedFault] = []
        self._arrival = anyio.Event()
        self._stack = AsyncExitStack()
        for gateway in gateways:
            self.add_gateway(gateway)

    async def __aenter__(self) -> Self:
        """Serve.

        Raises:
            OSError: The address can't be listened at.
        """
        self._host, self._port = await self._stack.enter_async_context(serve(self._handle, self._host, self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; what is under way is dropped."""
        await self._stack.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """The address, for `base_url=` of a client."""
        return f"http://[{self._host}]:{self._port}" if ":" in self._host else f"http://{self._host}:{self._port}"

    @property
    def username(self) -> str:
        """The account's phone number."""
        return self.settings.username

    @property
    def password(self) -> str:
        """The account's password."""
        return self.settings.password

    @property
    def accessories(self) -> dict[str, CloudAccessory]:
        """The accessories, by identifier; how they report may be changed."""
        return self._tables.accessories

    @property
    def names(self) -> dict[int, str]:
        """Names of the lockers, by identifier; may be changed. For want of a name, "Porte 45961123"."""
        return self._tables.names

    @property
    def shares(self) -> tuple[CloudShare, ...]:
        """All shares with accessories."""
        return tuple(self._tables.shares.values())

    @property
    def people(self) -> tuple[CloudPersonShare, ...]:
        """All shares with people; whether each has accepted may be changed."""
        return tuple(self._tables.people.values())

    @property
    def logins(self) -> int:
        """The number of log-ins tried."""
        return self._service.logins

    def add_gateway(
        self, gateway: SimulatedGateway, *, identifier: str | None = None, name: str | None = None
    ) -> CloudAccessory:
        """Link a gateway: from now on it learns its shares when it synchronises.

        Args:
            gateway: The gateway; its lockers belong to the account, also those that appear later.
            identifier: Its text identifier.
            name: The name that its owner gave it.

        Raises:
            ValueError: There is an accessory of that identifier.
        """
        count = len(self.accessories) + 1
        row = CloudAccessory(
            self._tables.number(), identifier or f"TK-GW-{count}", name or f"Gateway {count}", GATEWAY, gateway
        )
        self._tables.add_accessory(row)
        gateway.on_synchronize.append(partial(self._hand_over, row, gateway))
        return row

    def add_keypad(
        self, *lockers: int, identifier: str | None = None, name: str = "Keypad", kind: int = KEYPAD
    ) -> CloudAccessory:
        """Add a keypad, or another accessory that is no gateway.

        Args:
            lockers: The identifiers of the lockers that it belongs to.
            identifier: Its text identifier.
            name: The name that its owner gave it.
            kind: The vendor's number for its kind; 3 is a remote.

        Raises:
            ValueError: There is an accessory of that identifier.
        """
        identifier = identifier or f"TK-KP-{len(self.accessories) + 1}"
        row = CloudAccessory(self._tables.number(), identifier, name, kind, belongs_to=frozenset(lockers))
        return self._tables.add_accessory(row)

    def expire_tokens(self) -> None:
        """Let every token have expired, whatever was said when it was handed out."""
        self._tables.forget_tokens()

    def fail(self, fault: Fault, *, on: str | None = None, times: int = 1) -> None:
        """Let web calls meet a fault. `Fault.REFUSE` and `Fault.BUSY` are a gateway's, and do nothing here.

        Args:
            fault: The fault.
            on: With which web call: `"login"`, `"account"`, `"accessory"`, `"shares"`, `"create"`, `"update"`,
                `"delete"`, `"share_with"`, `"update_person"`, `"web_login"`, `"reboot"`; None is any.
            times: How many times.

        Raises:
            ValueError: No web call is called so.
        """
        self._plan_fault(lambda response: spoil(response, fault, _DRIP), acts=fault.acts, on=on, times=times)

    def reply_next(
        self,
        body: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        on: str | None = None,
        times: int = 1,
        acted: bool = False,
    ) -> None:
        """Give a reply of your own.

        Args:
            body: Bytes as they stand, anything else as JSON.
            status: The HTTP status.
            headers: Further headers: `{"Retry-After": "5"}` for example.
            on: To which web call, as for `fail`.
            times: How many times.
            acted: Whether the web call is carried out.

        Raises:
            ValueError: No web call is called so.
        """
        written = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = HttpResponse(written, status, headers=tuple((headers or {}).items()))
        self._plan_fault(lambda _: response, acts=acted, on=on, times=times)

    async def wait_for_requests(self, count: int, *, on: str | None = None) -> None:
        """Wait until so many web calls have arrived since it was made.

        Args:
            count: How many.
            on: Count only those that are called so.
        """
        while sum(on in {None, request.call} for request in self.requests) < count:
            await self._arrival.wait()

    def _plan_fault(
        self, change: Callable[[HttpResponse], HttpResponse], *, acts: bool, on: str | None, times: int
    ) -> None:
        if on is not None and on not in CALLS:
            raise ValueError(f"No web call is called {on!r}; there are {', '.join(sorted(CALLS))}.")
        self._planned_faults.append(_PlannedFault(change, acts, on, times))

    async def _handle(self, request: HttpRequest) -> HttpResponse:
        call, _ = route(request)
        self.requests.append(CloudRequest(call, request.method, request.path))
        del self.requests[:-_MOST_REQUESTS]
        self._arrival.set()
        self._arrival = anyio.Event()
        if self.settings.delay > 0:
            await anyio.sleep(self.settings.delay)
        fault = next((fault for fault in self._planned_faults if fault.on in {None, call}), None)
        if fault is None:
            return self._service.answer(request)
        fault.left -= 1
        if not fault.left:
            self._planned_faults.remove(fault)
        return fault.change(self._service.answer(request) if fault.acts else HttpResponse())

    def _hand_over(self, row: CloudAccessory, gateway: SimulatedGateway, synchronized: int | None) -> None:
        """Tell a gateway which codes open which locker; what it was told before and is no longer so, it forgets."""
        now = self.settings.now().replace(tzinfo=None)
        for identifier, locker in gateway.lockers.items():
            if synchronized in {None, identifier}:
                codes = frozenset(share.code for share in self._tables.shares_of(identifier, row) if share.holds(now))
                if synchronized is None and self._lockers_too and not codes <= locker.share_codes:
                    locker.synchronized = False
                locker.share_codes = (locker.share_codes - row.issued.get(identifier, frozenset())) | codes
                row.issued[identifier] = codes
