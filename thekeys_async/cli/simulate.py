"""`thekeys simulate`: a simulated gateway, and a cloud if wanted, as a process of its own, until a signal ends it."""

import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import attrs
import click
from anyio.from_thread import BlockingPortal

from thekeys_async.cli.errors import Effect, ExitCode, other_failure
from thekeys_async.cli.output import print_json, said
from thekeys_async.cli.runner import run_until_stopped
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable
from thekeys_async.simulator import ReplyStyle, SimulatedCloud, SimulatedGateway, SimulatedLocker
from thekeys_async.simulator.control import obey
from thekeys_async.simulator.recorded_gateway import SAMPLE_CODE

_LOOPBACK = "127.0.0.1"
_CHUNK = 4096
_LONGEST_LINE = 4096
_IN_BACKGROUND = 1.0
_SAMPLE_LOCKER = 45961123  # as on the vendor's page
_REPORT = 5.0  # as often as the vendor's page says

ShareCodes: TypeAlias = Mapping[int, Secret | None]
"""Share codes by locker; None is a locker that is not shared."""


@attrs.frozen
class Simulation:
    """The settings of a simulation.

    Attributes:
        port: Where to listen; 0 takes a free port.
        lockers: Lockers, and their share codes where those were given.
        light: Seconds that a light request takes.
        bluetooth: Seconds that a request takes that speaks to a locker.
        bolt: Seconds between the reply and the bolt's arrival.
        style: How replies are written.
        cloud: Whether there is a cloud, too.
        cloud_port: Where it listens; 0 takes a free port.
        replay: A recording whose gateway this is to be; then all but the ports and share codes comes from there.
    """

    port: int
    lockers: Sequence[tuple[int, Secret | None]]
    light: float
    bluetooth: float
    bolt: float
    style: str
    cloud: bool = False
    cloud_port: int = 0
    replay: Path | None = None


def run_simulation(settings: CommandSettings, simulation: Simulation) -> None:
    """Run the simulation, print one line when it is ready, and end with the first SIGINT or SIGTERM.

    Raises:
        click.UsageError: A locker or its share code is missing.
        Failure: It can't listen there.
    """
    codes = _share_codes(settings, simulation)
    run_until_stopped(settings, partial(_serve, settings, simulation, codes))


def _share_codes(settings: CommandSettings, simulation: Simulation) -> ShareCodes:
    """Find the share code of each locker: its own, or the one for all; with a cloud there need be none."""
    needs_lockers = simulation.replay is None
    lockers = simulation.lockers or ([(_SAMPLE_LOCKER, None)] if simulation.cloud and needs_lockers else [])
    codes = {identifier: own_code or Secret.of(settings.code) for identifier, own_code in lockers}
    for identifier, code in codes.items():
        if code is None and not simulation.cloud:
            raise click.UsageError(f"Give the share code of locker {identifier}: --locker {identifier}:CODE.")
    if needs_lockers and not codes:
        raise click.UsageError(f"Give a locker and its share code: --locker {_SAMPLE_LOCKER}:CODE.")
    return codes


def _gateway(settings: CommandSettings, simulation: Simulation, codes: ShareCodes, host: str) -> SimulatedGateway:
    if simulation.replay is not None:
        return _replayed(settings, simulation, simulation.replay, codes, host)
    lockers = [
        SimulatedLocker(identifier, share_code=None if code is None else code.reveal())
        for identifier, code in codes.items()
    ]
    return SimulatedGateway(
        lockers,
        host=host,
        port=simulation.port,
        light=simulation.light,
        bluetooth=simulation.bluetooth,
        bolt_delay=simulation.bolt,
        style=ReplyStyle(simulation.style),
    )


def _replayed(
    settings: CommandSettings, simulation: Simulation, recording: Path, codes: ShareCodes, host: str
) -> SimulatedGateway:
    try:
        gateway = SimulatedGateway.from_recording(
            recording, host=host, port=simulation.port, share_codes=settings.code or SAMPLE_CODE
        )
    except ValueError as error:
        why = printable(f"{recording} can't be replayed: {error}")
        raise click.UsageError(f"{why}. It has to be what 'thekeys check --save' has written.") from None
    for identifier, own_code in codes.items():
        if identifier not in gateway.lockers:
            raise click.UsageError(f"There is no locker {identifier} in {printable(str(recording))}.")
        gateway.lockers[identifier].share_codes = frozenset({own_code.reveal()} if own_code else ())
    return gateway


async def _serve(settings: CommandSettings, simulation: Simulation, codes: ShareCodes) -> None:
    host = _LOOPBACK if settings.given_host is None else settings.given_host
    gateway = _gateway(settings, simulation, codes, host)
    async with AsyncExitStack() as stack:
        with _listening_at(settings, host, simulation.port, "--port"):
            await stack.enter_async_context(gateway)
        cloud = SimulatedCloud([gateway], host=host, port=simulation.cloud_port) if simulation.cloud else None
        if cloud is not None:
            with _listening_at(settings, host, simulation.cloud_port, "--cloud-port"):
                await stack.enter_async_context(cloud)
        sample_code = simulation.replay is not None and not settings.code
        with said(Effect.NONE, as_json=settings.json):
            _say_ready(gateway, cloud, sample_code=sample_code, as_json=settings.json)
        portal = await stack.enter_async_context(BlockingPortal())
        _take_control_lines(portal, gateway, as_json=settings.json)
        await learn_shares(gateway)


async def learn_shares(gateway: SimulatedGateway, seconds: float = _REPORT) -> None:
    """Let the gateway report to its cloud for ever, and learn the shares that it has been given since.

    Args:
        gateway: The gateway; with automatic synchronisation switched off it learns them when it is told to.
        seconds: How often.
    """
    while True:
        await anyio.sleep(seconds)
        if gateway.state.automatic_synchronization:
            for tell in tuple(gateway.on_synchronize):
                tell(None)


@contextmanager
def _listening_at(settings: CommandSettings, host: str, port: int, flag: str) -> Generator[None]:
    """Say where it can't be listened, and which flag chooses another place.

    Raises:
        Failure: It can't be listened there.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"Port {port} at {host} is in use: choose another one with {flag}, or 0 for any that is free."
        else:
            why = error.strerror or error
            sentence = f"Nothing can listen at {host}, port {port} ({why}): choose another place with --host or {flag}."
        kind, sentence = type(error).__name__, printable(sentence)
        raise other_failure(kind, sentence, ExitCode.UNEXPECTED, as_json=settings.json) from None


def _say_ready(gateway: SimulatedGateway, cloud: SimulatedCloud | None, *, sample_code: bool, as_json: bool) -> None:
    if as_json:
        ready: dict[str, object] = {"address": gateway.address, "lockers": sorted(gateway.lockers)}
        if cloud is not None:
            ready |= {"cloud": cloud.url, "username": cloud.username, "password": cloud.password}
        if sample_code:
            ready["share_code"] = SAMPLE_CODE
        print_json(ready | {"control_lines": "stdin"})
        return
    numbers = ", ".join(str(identifier) for identifier in sorted(gateway.lockers))
    if sample_code and numbers:
        numbers += f" (share code {SAMPLE_CODE})"
    account = f", and its cloud at {cloud.url} with the account {cloud.username} {cloud.password}" if cloud else ""
    click.echo(
        f"A simulated gateway is ready at {gateway.address} with locker {numbers or 'none'}{account}; "
        "it takes control lines on standard input, and help lists them"
    )


def _take_control_lines(portal: BlockingPortal, gateway: SimulatedGateway, *, as_json: bool) -> None:
    """Read control lines on a thread of their own, which ends with the process; only threads can wait for any stdin."""
    try:
        source, answers = sys.stdin.fileno(), sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # there is no such file
        return
    if sys.platform != "win32":
        # A process in the background of a terminal would be stopped for reading from it.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        for line in _lines(source):
            # The portal closes when a signal ends the simulation.
            with suppress(RuntimeError, CancelledError):
                answer = portal.call(obey, gateway, line)
                if answer is not None:
                    text = json.dumps({"done": answer.done, "answer": answer.text}) if as_json else answer.text
                    with suppress(OSError):  # nobody wants to know
                        os.write(answers, f"{text}\n".encode())

    threading.Thread(target=read, name="control lines", daemon=True).start()


def _lines(source: int) -> Iterator[str]:
    """Read lines, past the buffers of `sys.stdin`, which the interpreter could not close under a thread that waits."""
    begun = b""
    while True:
        try:
            data = os.read(source, _CHUNK)
        except OSError:  # in the background, or the terminal has gone
            time.sleep(_IN_BACKGROUND)
            continue
        *lines, begun = (begun + data).split(b"\n")
        if not data and begun:
            lines.append(begun)
        for line in lines:
            yield line.decode("utf-8", "replace")
        if not data:
            return
        begun = begun[:_LONGEST_LINE]
