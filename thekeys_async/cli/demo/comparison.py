"""`thekeys demo`: the same calls through a naive client and through the library, then one door, and a live table.

Every number shown is counted while it happens, on two simulated gateways of this process. Their times are the
hardware's shortened to a tenth or less, and so are the library's.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import anyio
import attrs
import httpx
from rich.table import Column, Table
from rich.text import Text

from thekeys_async import (
    AsyncGateway,
    AsyncLocker,
    DoorState,
    GatewayBusyError,
    InvalidHmacError,
    LockerStatus,
    Pacing,
    TheKeysError,
    Timestamps,
)
from thekeys_async.cli import output
from thekeys_async.cli.demo.live import LIVE_STORY, run_live
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.runner import run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.protocol.endpoints import OPEN, Endpoint
from thekeys_async.protocol.replies import Reply, check_done
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

CALLERS = 20
IN_A_ROW = 10
_LOCKERS = (45961123, 45961124, 45961125)
_LIGHT, _BLUETOOTH, _BOLT = 0.01, 0.08, 0.2

Call = Callable[[int], Awaitable[object]]
"""Opens a locker's door through one of the two clients."""


@attrs.frozen
class NaiveClient:
    """The vendor's sample: timestamps of whole seconds, sent at once, whoever else is asking.

    Attributes:
        http: Sends the requests.
        address: The gateway's host and port.
        code: The share code, the same for all its lockers.
    """

    http: httpx.AsyncClient
    address: str
    code: str = attrs.field(repr=False)

    async def ask(self, endpoint: Endpoint, identifier: int) -> None:
        """Send a signed command.

        Raises:
            TheKeysError: What the gateway answered instead of doing it.
            httpx.HTTPError: It did not answer.
        """
        timestamp = str(int(time.time()))
        digest = hmac.new(self.code.encode(), timestamp.encode("ascii"), hashlib.sha256).digest()
        form = {"identifier": str(identifier), "ts": timestamp, "hash": base64.b64encode(digest).decode()}
        response = await self.http.post(f"http://{self.address}{endpoint.path}", data=form)
        check_done(endpoint, Reply(response.status_code, response.content))


@attrs.define
class Tally:
    """The outcomes of some calls.

    Attributes:
        succeeded: Answered, and done.
        busy: Refused, because the gateway was busy with another call.
        stale: Refused, because the timestamp had been used before.
        other: Failed in another way.
    """

    succeeded: int = 0
    busy: int = 0
    stale: int = 0
    other: int = 0

    async def count(self, call: Call, identifier: int) -> None:
        """Make a call, and count what became of it."""
        try:
            await call(identifier)
        except GatewayBusyError:
            self.busy += 1
        except InvalidHmacError:
            self.stale += 1
        except (TheKeysError, httpx.HTTPError):
            self.other += 1
        else:
            self.succeeded += 1


@attrs.frozen
class Side:
    """The results of one of the two clients.

    Attributes:
        at_once: The outcomes of the callers that asked at the same time.
        overlaps: How many requests met another one at the gateway, as it recorded itself.
        seconds: The time until all of them had their answer.
        doors: The state of each bolt after that, by locker.
        in_a_row: The outcomes of the calls that followed one another.
    """

    at_once: Tally
    overlaps: int
    seconds: float
    doors: Mapping[int, DoorState]
    in_a_row: Tally


@attrs.frozen
class Visit:
    """A door opened, read and closed through the library.

    Attributes:
        identifier: The locker.
        before: The locker's first answer.
        opened: Its answer after opening, with its battery and RSSI.
        closed: Its answer after closing.
    """

    identifier: int
    before: DoorState
    opened: LockerStatus
    closed: DoorState


def run_demo(settings: CommandSettings) -> None:
    """Run the demonstration and show what happened."""
    say = _say_nothing if settings.json else output.print_rich
    naive, library, visit = run(settings, Effect.NONE, partial(_compare, say))
    if settings.json:
        output.print_json({**_as_json(naive, library, visit), "live": run_live(settings)})
    else:
        output.print_rich(_table(naive, library), Text(output.BOLT_NOTE, "dim"), _story(visit), LIVE_STORY)
        run_live(settings)


def _say_nothing(_: str) -> None:
    """Keep stdout for the JSON."""


async def _compare(say: Callable[[str], None]) -> tuple[Side, Side, Visit]:
    code = secrets.token_hex(8)
    say(f"Two simulated gateways, {len(_LOCKERS)} lockers each. {CALLERS} callers ask for an open door, all at once:")
    async with _simulated(code) as first, _simulated(code) as second:
        say("- as the vendor's sample does it ...")
        async with httpx.AsyncClient(trust_env=False) as http:
            naive = await _drive(partial(NaiveClient(http, first.address, code).ask, OPEN), first)
        say("- through thekeys-async ...")
        async with _library(second, code) as gateway:
            library = await _drive(lambda identifier: gateway.locker(identifier).open(), second)
        say("- and one door that stayed closed, at the first gateway again, through thekeys-async.")
        closed = next((i for i in _LOCKERS if naive.doors[i] is DoorState.CLOSED), _LOCKERS[0])
        async with _library(first, code) as gateway:
            visit = await _visit(gateway.locker(closed))
    return naive, library, visit


def _simulated(code: str) -> SimulatedGateway:
    lockers = [SimulatedLocker(identifier, share_code=code) for identifier in _LOCKERS]
    return SimulatedGateway(lockers, light=_LIGHT, bluetooth=_BLUETOOTH, bolt_delay=_BOLT)


def _library(simulated: SimulatedGateway, code: str) -> AsyncGateway:
    return AsyncGateway(
        simulated.address,
        share_codes=dict.fromkeys(_LOCKERS, code),
        pacing=Pacing(light=_LIGHT, bluetooth=_BLUETOOTH / 2),
        timestamps=Timestamps(max_lead=60),
    )


async def _drive(call: Call, simulated: SimulatedGateway) -> Side:
    """Let twenty callers ask at once, look at the doors, then let ten calls follow one another."""
    started = time.monotonic()
    at_once, in_a_row = Tally(), Tally()
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(at_once.count, call, _LOCKERS[number % len(_LOCKERS)])
    seconds, overlaps = time.monotonic() - started, simulated.overlaps
    await anyio.sleep(2 * _BOLT)
    doors = {identifier: _state(simulated, identifier) for identifier in _LOCKERS}
    for _ in range(IN_A_ROW):
        await in_a_row.count(call, _LOCKERS[0])
    return Side(at_once, overlaps, seconds, doors, in_a_row)


def _state(simulated: SimulatedGateway, identifier: int) -> DoorState:
    """Look at a simulated bolt itself, asking nobody."""
    return DoorState(simulated.lockers[identifier].state.value)


async def _visit(door: AsyncLocker) -> Visit:
    """Open a door, read it, close it."""
    before = await door.status()
    await door.open()
    opened = await door.wait_for(DoorState.OPEN, timeout=8)
    await door.close()
    closed = await door.wait_for(DoorState.CLOSED, timeout=8)
    return Visit(door.identifier, before.state, opened, closed.state)


def _as_json(naive: Side, library: Side, visit: Visit) -> dict[str, object]:
    def plain(value: Side | Visit) -> object:
        return attrs.asdict(value, value_serializer=lambda _, __, v: v.value if isinstance(v, DoorState) else v)

    return {"callers": CALLERS, "naive": plain(naive), "library": plain(library), "door": plain(visit)}


def _table(naive: Side, library: Side) -> Table:
    sides = (naive, library)
    table = Table("", Column("Naive client", justify="right"), Column("thekeys-async", justify="right"))
    _add_tally(table, f"{CALLERS} callers at once", [side.at_once for side in sides])
    table.add_row("  overlapping requests", *(str(side.overlaps) for side in sides))
    table.add_row("  all answered within", *(f"{side.seconds:.1f} s" for side in sides))
    for identifier in _LOCKERS:
        table.add_row(f"  bolt of {identifier}", *(output.door(side.doors[identifier]) for side in sides))
    table.add_section()
    _add_tally(table, f"{IN_A_ROW} calls in a row", [side.in_a_row for side in sides])
    return table


def _add_tally(table: Table, title: str, tallies: Sequence[Tally]) -> None:
    table.add_row(Text(title, "bold"))
    table.add_row("  succeeded", *(Text(str(tally.succeeded), "green") for tally in tallies))
    table.add_row("  refused: busy", *(str(tally.busy) for tally in tallies))
    table.add_row("  refused: stale timestamp", *(str(tally.stale) for tally in tallies))
    table.add_row("  failed otherwise", *(str(tally.other) for tally in tallies))


def _story(visit: Visit) -> Text:
    read = visit.opened
    return Text.assemble(
        f"Locker {visit.identifier} through thekeys-async: the bolt was ",
        output.door(visit.before),
        "; opened, it says ",
        output.door(read.state),
        f" ({output.facts(read)}); closed, it says ",
        output.door(visit.closed),
        ".",
    )
