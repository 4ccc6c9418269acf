"""`thekeys watch`: the lockers of one gateway or of many, as a live table or as JSON lines, until somebody ends it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import click

from thekeys_async import AsyncGateway, Fleet, Updates
from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.json_lines import Output, as_json
from thekeys_async.cli.live_table import Board, follow, print_last
from thekeys_async.cli.runner import chosen_coordinator, library_log, run_until_stopped, wire_recorder
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.targets import Watched, gateways_watched
from thekeys_async.coordination import Coordinator

Show = Callable[[Updates], Awaitable[None]]
"""Shows updates until it is cancelled."""


@attrs.frozen
class WatchSettings:
    """The settings of `watch`.

    Attributes:
        gateways: Names of the configuration file.
        interval: Seconds from poll to poll.
        every_poll: Whether a line is printed for each poll, also if nothing has changed.
        save_wire: Where what happens on the wire is recorded, or None.
    """

    gateways: Sequence[str]
    interval: float
    every_poll: bool
    save_wire: Path | None = None


def run_watch(settings: CommandSettings, wanted: WatchSettings) -> None:
    """Watch until a signal, the time given, or the end of the pipe; all of them are its usual end.

    Raises:
        click.UsageError: A flag or a name makes no sense.
        Failure: The configuration file can't be used.
    """
    chosen, names = gateways_watched(settings, wanted.gateways)
    if wanted.every_poll and not settings.json:
        output.print_warning("--every-poll does nothing without --json", as_json=False)
    coordinator = chosen_coordinator(settings)
    with library_log(settings):
        gateways = _gateways(chosen, coordinator)
    stdout, board, console = Output(), Board(gateways), output.console()
    if settings.json:
        show: Show = partial(_print_lines, stdout, names)
    else:
        show = partial(follow, board=board, names=names, console=console)
    options: dict[str, Any] = {
        "interval": wanted.interval,
        "every_poll": wanted.every_poll or not settings.json,
        "lockers": None if settings.identifier is None else {settings.identifier},
        "follow_doors": any(each.codes for each in chosen),
    }
    with wire_recorder(settings, wanted.save_wire) as recorder:
        work = partial(_watch, partial(Fleet, gateways, record=recorder), options, settings.timeout, stdout, show)
        run_until_stopped(settings, work, coordinator)
    if not settings.json and not stdout.has_no_reader:
        with output.said(Effect.NONE, as_json=False):
            print_last(board, names, console)


def _gateways(chosen: Sequence[Watched], coordinator: Coordinator | None) -> dict[str, AsyncGateway]:
    gateways: dict[str, AsyncGateway] = {}
    for each in chosen:
        try:
            gateway = AsyncGateway(each.host, name=each.name, share_codes=each.codes, coordinator=coordinator)
        except ValueError as error:
            raise click.UsageError(f"--host or -c: {error}") from None
        gateways[gateway.name] = gateway
    return gateways


async def _watch(
    make_fleet: Callable[[], Fleet],
    options: Mapping[str, Any],
    seconds: float | None,
    stdout: Output,
    show: Show,
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_when_closed, stdout, tasks.cancel_scope)
        with anyio.move_on_after(seconds):
            async with make_fleet() as fleet, fleet.watch(**options) as updates:
                await show(updates)
        tasks.cancel_scope.cancel()


async def _end_when_closed(stdout: Output, scope: anyio.CancelScope) -> None:
    await stdout.closed()
    scope.cancel()


async def _print_lines(stdout: Output, names: Mapping[int, str], updates: Updates) -> None:
    with suppress(BrokenPipeError):
        async for update in updates:
            await stdout.write(as_json(update, names))
