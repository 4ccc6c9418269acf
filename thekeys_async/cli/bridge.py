"""`thekeys bridge`: puts together what the bridge is to do, and runs, shows or purges it."""

import os
from functools import partial

import attrs
import click

from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect, unusable_file
from thekeys_async.cli.runner import chosen_coordinator, run, run_until_stopped
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.targets import gateways_of_file
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.values import Config
from thekeys_async.coordination import Coordinator
from thekeys_async.protocol.text import printable

try:
    from thekeys_async.bridge.dry_run import published
    from thekeys_async.bridge.plan import BridgePlan, make_plan
    from thekeys_async.bridge.process import Process
    from thekeys_async.bridge.purging import Purge
except ModuleNotFoundError as error:
    raise click.UsageError(f"{error.name} is missing. Run: pip install 'thekeys-async[bridge]'") from None


@attrs.frozen
class BridgeSettings:
    """The settings of `bridge`.

    Attributes:
        gateways: Names of the configuration file; all of it if none is given.
        broker: The broker's URL, or None.
        prefix: The first part of all topics, or None.
        interval: Seconds from poll to poll, or None.
        standby: Whether to wait until no other bridge leads.
        check: Only say what would be published.
        purge: Only empty what is retained.
    """

    gateways: tuple[str, ...]
    broker: str | None = attrs.field(repr=False)
    prefix: str | None
    interval: float | None
    standby: bool
    check: bool
    purge: bool


def run_bridge(settings: CommandSettings, wanted: BridgeSettings) -> None:
    """Run the bridge until a signal ends it.

    Raises:
        click.UsageError: A flag or a name makes no sense.
        Failure: The configuration can't be used, or another bridge has taken over.
    """
    if wanted.check and wanted.purge:
        raise click.UsageError("--check and --purge contradict each other.")
    config, names = gateways_of_file(settings, wanted.gateways)
    plan = _plan(settings, config, wanted, names)
    if wanted.check:
        _check(settings, plan)
    elif wanted.purge:
        _purge(settings, plan)
    else:
        coordinator = chosen_coordinator(settings)
        codes = {name: config.share_codes(name) for name in config.gateways}
        run_until_stopped(settings, partial(_run, plan, codes, coordinator), coordinator, Effect.BRIDGE)


async def _run(plan: BridgePlan, codes: dict[str, dict[int, str]], coordinator: Coordinator | None) -> None:
    await Process(plan, codes, coordinator).run()


def _plan(settings: CommandSettings, config: Config, wanted: BridgeSettings, names: list[str]) -> BridgePlan:
    try:
        return make_plan(
            config,
            os.environ,
            gateways=names,
            broker=wanted.broker,
            prefix=wanted.prefix,
            interval=wanted.interval,
            standby=wanted.standby,
        )
    except ConfigurationError as error:
        failure = unusable_file(error, settings)
    raise failure


def _check(settings: CommandSettings, plan: BridgePlan) -> None:
    for topic, value in published(plan):
        if settings.json:
            output.print_json({"topic": topic, "payload": value, "retain": True, "qos": 1})
        else:
            click.echo(f"{printable(topic)} {printable(value)}")
    if plan.broker.is_exposed:
        output.print_warning(
            f"{plan.broker} is on the network and there is no TLS: whoever sees a command can send one",
            as_json=settings.json,
        )


def _purge(settings: CommandSettings, plan: BridgePlan) -> None:
    async def purge() -> Purge:
        work = Purge(plan)
        await work.run()
        return work

    done = run(settings, Effect.NONE, purge)
    if done.is_alive:
        output.print_warning("a bridge runs with this prefix, and will say things again", as_json=settings.json)
    if settings.json:
        output.print_json({"emptied": done.emptied})
    else:
        click.echo(f"{len(done.emptied)} topics emptied")
