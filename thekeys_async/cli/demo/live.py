"""The end of `thekeys demo`: `thekeys watch` over two simulated gateways, while bolts turn and one goes away."""

import secrets
from functools import partial
from itertools import cycle
from typing import Literal

import anyio
from rich.console import Console

from thekeys_async import AsyncGateway, Fleet, Pacing, Timestamps
from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.live_table import Board, Row, follow, print_last
from thekeys_async.cli.runner import run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

LIVE_STORY = (
    "And 'thekeys watch', over two other simulated gateways, while somebody turns bolts by hand and 'annex' loses its "
    "power for a moment:\n"
)
_SECONDS = 4.0
_INTERVAL = 0.25
_LIGHT, _BLUETOOTH = 0.01, 0.08
_NAMES = {45961126: "front door", 45961127: "cellar", 45961128: "garden gate"}


def run_live(settings: CommandSettings) -> list[dict[str, object]]:
    """Watch for some seconds; at a terminal the table is drawn again and again.

    Returns:
        The last state of each locker, for JSON.
    """
    board, console = Board(("hall", "annex")), None if settings.json else output.console()
    run(settings, Effect.NONE, partial(_watch, board, console))
    if console is not None:
        print_last(board, _NAMES, console)
    return [_as_json(row) for rows in board.rows.values() for row in rows]


async def _watch(board: Board, console: Console | None) -> None:
    code = secrets.token_hex(8)
    front, cellar, gate = _NAMES
    hall = _simulated(SimulatedLocker(front, code, rssi=-62, wander=4), SimulatedLocker(cellar, code, rssi=-81))
    annex = _simulated(SimulatedLocker(gate, code, rssi=-90, battery_mv=6480, wander=6))
    async with (
        hall,
        annex,
        Fleet({"hall": _client(hall, code), "annex": _client(annex, code)}) as fleet,
        fleet.watch(_INTERVAL, every_poll=True, follow_doors=True) as news,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(follow, news, board, _NAMES, console)
        tasks.start_soon(_turn_by_hand, hall)
        await anyio.sleep(_SECONDS / 4)
        await annex.stop()
        await anyio.sleep(_SECONDS / 4)
        await annex.start()
        await anyio.sleep(_SECONDS / 2)
        tasks.cancel_scope.cancel()


async def _turn_by_hand(gateway: SimulatedGateway) -> None:
    turns: tuple[Literal["open", "close"], ...] = ("open", "close")
    for turn in cycle(turns):
        for identifier in gateway.lockers:
            gateway.turn_bolt(identifier, turn)
            await anyio.sleep(_SECONDS / 6)


def _simulated(*lockers: SimulatedLocker) -> SimulatedGateway:
    return SimulatedGateway(lockers, light=_LIGHT, bluetooth=_BLUETOOTH)


def _client(simulated: SimulatedGateway, code: str) -> AsyncGateway:
    codes = dict.fromkeys(simulated.lockers, code)
    pacing = Pacing(light=_LIGHT, bluetooth=_BLUETOOTH / 2)
    return AsyncGateway(simulated.address, share_codes=codes, pacing=pacing, timestamps=Timestamps(max_lead=60))


def _as_json(row: Row) -> dict[str, object]:
    news = row.news
    state = None if news.status is None else news.status.state.value
    seen = {"polls": len(row.signals), "rssi": news.reading.rssi, "battery_mv": news.reading.battery_mv, "state": state}
    return {"gateway": news.gateway, "identifier": news.identifier, **seen}
