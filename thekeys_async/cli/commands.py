"""The actions, as `thekeys --help` lists them. Importing this loads click, and neither rich nor the simulator."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from thekeys_async.cli.check_command import check
from thekeys_async.cli.cloud_commands import discover, reboot, setup, shares
from thekeys_async.cli.errors import ExitCode, Failure, exit_code_table, other_failure
from thekeys_async.cli.names import complete_gateway, complete_locker, nearest
from thekeys_async.cli.options import (
    Settings,
    gateway_options,
    output_options,
    simulate_options,
    simulated_locker,
    target_argument,
)
from thekeys_async.cli.stream_commands import bridge, plot, watch
from thekeys_async.protocol.secrets import Secret

_DELAY = click.FloatRange(0, 3600)
_SAMPLE_LOCKER = 45961123  # as on the vendor's page

OTHER_WORDS: Mapping[str, str] = {
    "unlock": "open",
    "lock": "close",
    "list": "search",
    "synchronise": "synchronize",
    "synchronise_locker": "synchronize_locker",
}
"""Other words for actions."""


class _Actions(click.Group):
    """Lists the actions in the order they are declared, understands other words for them, and says how one failed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        word = cmd_name.casefold().replace("-", "_")
        return super().get_command(ctx, OTHER_WORDS.get(word, word))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typed = args[0]
        if typed.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, typed) is not None:
            return super().resolve_command(ctx, args)
        # What was typed is not repeated: it may have been a share code.
        meant = nearest([*self.commands, *OTHER_WORDS], typed)
        advice = f"Did you mean 'thekeys {meant}'?" if meant else "'thekeys --help' lists them."
        raise click.UsageError(f"There is no such action. {advice}", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.Abort:
            failure = other_failure("Declined", "Nothing was done.", ExitCode.UNEXPECTED, as_json=_as_json(ctx))
        except click.UsageError as error:
            if not _as_json(ctx):
                raise
            failure = other_failure("UsageError", error.format_message(), ExitCode.USAGE, as_json=True)
        except Failure as error:
            failure = error
        failure.show()
        raise click.exceptions.Exit(failure.code)


def _as_json(context: click.Context) -> bool:
    return Settings.of(context).json


@click.group(
    cls=_Actions,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"\b\nExit codes:\n{exit_code_table()}",
)
@gateway_options
@click.version_option(package_name="thekeys-async")
def thekeys() -> None:
    """Drive The Keys smart locks through their gateway.

    For example: thekeys --host 192.168.0.26 -i 45961123 -c 'share code' open

    Or, with the names that 'thekeys setup' writes down: thekeys open front-door

    The flags may stand before the action or after it. 'unlock', 'lock' and 'list' are 'open', 'close' and 'search'.
    """


def _action(name: str, target: str = "LOCKER") -> Callable[[Callable[..., None]], click.Command]:
    """Declare an action on a gateway: it takes all the gateway's flags, and a name of the configuration file."""
    return lambda function: thekeys.command(name)(
        target_argument(target, {"LOCKER": complete_locker, "GATEWAY": complete_gateway}[target])(
            gateway_options(click.pass_context(function))
        )
    )


def _perform(action: str, context: click.Context, *, wait: bool = False) -> None:
    from thekeys_async.cli.actions import perform  # noqa: PLC0415 - rich and the client, which --help does without

    perform(Settings.of(context), action, wait=wait)


def _perform_on_all(action: str, context: click.Context, *, everyone: bool) -> None:
    """Ask all gateways of the file where all are meant, else the one."""
    from thekeys_async.cli.targets import all_gateways  # noqa: PLC0415 - the file's reader, which --help does without

    settings = Settings.of(context)
    meant = all_gateways(settings, wanted=everyone)
    if meant is None:
        _perform(action, context)
        return
    from thekeys_async.cli.all_gateways import ask_all  # noqa: PLC0415 - rich and the client

    ask_all(settings, action, *meant)


_ALL = click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="Ask all gateways of the configuration file; the default where it has several and none is named.",
)


_WAIT = click.option(
    "--wait", is_flag=True, help="Stay until the bolt is there, about 5 s more; ends with 10 if it is not."
)


@_action("open")
@_WAIT
def open_door(context: click.Context, wait: bool) -> None:
    """Draw a locker's bolt back."""
    _perform("open", context, wait=wait)


@_action("close")
@_WAIT
def close_door(context: click.Context, wait: bool) -> None:
    """Push a locker's bolt out."""
    _perform("close", context, wait=wait)


@_action("calibrate")
def calibrate(context: click.Context) -> None:
    """Let a locker find its end positions: its bolt moves."""
    _perform("calibrate", context)


@_action("locker_status")
def locker_status(context: click.Context) -> None:
    """Ask a locker where its bolt is.

    It is asked over Bluetooth, which takes seconds and costs its battery.
    """
    _perform("locker_status", context)


@_action("search", "GATEWAY")
@_ALL
def search(context: click.Context, everyone: bool) -> None:
    """List the lockers that a gateway sees, or that all see.

    All of the configuration file are asked where none is named; each has 5 s then, or what --timeout says.
    """
    _perform_on_all("search", context, everyone=everyone)


@_action("status", "GATEWAY")
@_ALL
def status(context: click.Context, everyone: bool) -> None:
    """Ask a gateway, or all, what it is doing.

    All of the configuration file are asked where none is named; each has 5 s then, or what --timeout says.
    """
    _perform_on_all("status", context, everyone=everyone)


@_action("synchronize", "GATEWAY")
def synchronize(context: click.Context) -> None:
    """Synchronise the gateway with the vendor's cloud.

    This takes up to some minutes, may install firmware, and no locker can be reached meanwhile.
    """
    _perform("synchronize", context)


@_action("auto_on", "GATEWAY")
def auto_on(context: click.Context) -> None:
    """Let the gateway synchronise by itself again."""
    _perform("auto_on", context)


@_action("auto_off", "GATEWAY")
def auto_off(context: click.Context) -> None:
    """Let the gateway no longer synchronise by itself.

    New shares and events then wait for 'thekeys synchronize'.
    """
    _perform("auto_off", context)


@_action("update", "GATEWAY")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def update(context: click.Context, yes: bool) -> None:
    """Install the gateway's firmware.

    It is installed also if it is up to date. At a terminal you are asked first.
    """
    if not yes:
        _ask_before_flashing("the gateway's firmware: it will be away for a while")
    _perform("update", context)


@_action("synchronize_locker")
def synchronize_locker(context: click.Context) -> None:
    """Synchronise a locker with the vendor's cloud.

    This may install firmware in it.
    """
    _perform("synchronize_locker", context)


@_action("update_locker")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def update_locker(context: click.Context, yes: bool) -> None:
    """Install a locker's firmware.

    At a terminal you are asked first.
    """
    if not yes:
        _ask_before_flashing("the locker's firmware: its door can't be driven meanwhile")
    _perform("update_locker", context)


thekeys.add_command(setup)
thekeys.add_command(discover)
thekeys.add_command(check)
thekeys.add_command(shares)
thekeys.add_command(reboot)
thekeys.add_command(watch)
thekeys.add_command(plot)
thekeys.add_command(bridge)


@thekeys.command()
@simulate_options
@click.option(
    "--locker",
    "lockers",
    type=simulated_locker,
    multiple=True,
    metavar="IDENTIFIER[:CODE]",
    help="A locker and its share code, else that of -c or THEKEYS_CODE. May be given several times; with --cloud there "
    "is one without it, and the cloud makes the codes.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recording: the gateway has the habits of the one that was recorded, and its lockers.",
)
@click.option("--cloud", is_flag=True, help="A simulated cloud, too, linked with the gateway; its account is printed.")
@click.option(
    "--cloud-port", type=click.IntRange(0, 65535), default=0, help="Where the cloud listens; else a free one."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--light", type=_DELAY, default=0.13, show_default=True, help="Seconds for a light request.")
@click.option("--bluetooth", type=_DELAY, default=3.0, show_default=True, help="Seconds for one to a locker.")
@click.option("--bolt", type=_DELAY, default=5.0, show_default=True, help="Seconds until a bolt has moved, after that.")
@click.option(
    "--style",
    type=click.Choice(["field", "terse", "page", "busy-500"]),
    default="field",
    show_default=True,
    help="Replies as seen in the field, with empty bodies, as on the vendor's page, or busy with HTTP status 500.",
)
@click.pass_context
def simulate(
    context: click.Context, /, lockers: tuple[tuple[int, Secret | None], ...], cloud: bool, **how: Any
) -> None:
    """Run a simulated gateway until SIGINT or SIGTERM.

    It prints one line, with its address, when it is ready. Then it takes control lines on standard input that make
    things happen to it; the line "help" lists them.
    """
    from thekeys_async.cli.simulate import Simulation, run_simulation  # noqa: PLC0415 - the simulator

    settings = Settings.of(context)
    codes: dict[int, Secret | None] = {}
    replayed = how["replay"] is not None
    for identifier, own_code in lockers or ([(_SAMPLE_LOCKER, None)] if cloud and not replayed else []):
        codes[identifier] = own_code or Secret.of(settings.code)
        if codes[identifier] is None and not cloud:
            raise click.UsageError(f"Give the share code of locker {identifier}: --locker {identifier}:CODE.")
    if not codes and not replayed:
        raise click.UsageError(f"Give a locker and its share code: --locker {_SAMPLE_LOCKER}:CODE.")
    run_simulation(settings, Simulation(lockers=codes, cloud=cloud, share_code=Secret.of(settings.code), **how))


@thekeys.command()
@click.option("--from-cloud", is_flag=True, help="Show the way from an account to an open door.")
@click.option("--bridge", "of_bridge", is_flag=True, help="Show a door in MQTT; needs a mosquitto and extra 'bridge'.")
@output_options
@click.pass_context
def demo(context: click.Context, from_cloud: bool, of_bridge: bool) -> None:
    """Show what the library does, on simulated gateways."""
    if from_cloud and of_bridge:
        raise click.UsageError("--from-cloud and --bridge contradict each other.")
    if from_cloud:
        from thekeys_async.cli.demo.cloud import run_demo_from_cloud as run  # noqa: PLC0415 - the simulator and rich
    elif of_bridge:
        from thekeys_async.cli.demo.bridge import run_demo_of_bridge as run  # noqa: PLC0415 - the broker's client, too
    else:
        from thekeys_async.cli.demo.comparison import run_demo as run  # noqa: PLC0415 - the same

    run(Settings.of(context))


def _ask_before_flashing(what: str) -> None:
    """Ask a person at a terminal; a script has decided already."""
    if sys.stdin.isatty():
        click.confirm(f"Install {what}. Go on?", abort=True, err=True)
