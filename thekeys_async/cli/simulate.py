"""`thekeys simulate`: a simulated gateway as a process of its own, until a signal ends it."""

from collections.abc import Mapping
from functools import partial

import anyio
import attrs
import click

from thekeys_async.cli.options import Settings
from thekeys_async.cli.output import print_json
from thekeys_async.cli.runner import run_until_stopped
from thekeys_async.simulator import ReplyStyle, SimulatedGateway, SimulatedLocker

_LOOPBACK = "127.0.0.1"


@attrs.frozen
class Simulation:
    """What is simulated.

    Attributes:
        port: Where to listen; 0 takes a free port.
        lockers: Share codes by locker.
        light: Seconds that a light request takes.
        bluetooth: Seconds that a request takes that speaks to a locker.
        bolt: Seconds between the reply and the bolt's arrival.
        style: How replies are written.
    """

    port: int
    lockers: Mapping[int, str] = attrs.field(repr=False)
    light: float
    bluetooth: float
    bolt: float
    style: str


def run_simulation(settings: Settings, simulation: Simulation) -> None:
    """Run the gateway, print one line when it is ready, and end with the first SIGINT or SIGTERM.

    Raises:
        Failure: It can't listen there.
    """
    run_until_stopped(settings, partial(_serve, settings, simulation))


async def _serve(settings: Settings, simulation: Simulation) -> None:
    lockers = [SimulatedLocker(identifier, share_code=code) for identifier, code in simulation.lockers.items()]
    async with SimulatedGateway(
        lockers,
        host=_LOOPBACK if settings.given_host is None else settings.given_host,
        port=simulation.port,
        light=simulation.light,
        bluetooth=simulation.bluetooth,
        bolt_delay=simulation.bolt,
        style=ReplyStyle(simulation.style),
    ) as gateway:
        if settings.json:
            print_json({"address": gateway.address, "lockers": sorted(simulation.lockers)})
        else:
            numbers = ", ".join(str(identifier) for identifier in sorted(simulation.lockers))
            click.echo(f"A simulated gateway is ready at {gateway.address} with locker {numbers}")
        await anyio.sleep_forever()
