"""The commands, as `thekeys --help` lists them. Importing this loads click, and nothing that draws or connects.

Each says what it is; its flags stand in `options`, and it hands what they say to the module that does the work.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from thekeys_async.cli import options
from thekeys_async.cli.errors import exit_code_table
from thekeys_async.cli.group import Actions
from thekeys_async.cli.settings import CommandSettings


@click.group(
    cls=Actions,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"\b\nExit codes:\n{exit_code_table()}",
)
@options.GATEWAY
@click.version_option(package_name="thekeys-async")
def thekeys() -> None:
    """Drive The Keys smart locks through their gateway.

    For example: thekeys --host 192.168.0.26 -i 45961123 -c 'share code' open

    Or, with the names that 'thekeys setup' writes down: thekeys open front-door

    The flags may stand before the action or after it. 'unlock', 'lock' and 'list' are 'open', 'close' and 'search'.
    """


def _command(
    *flags: Callable[[Any], Any], name: str | None = None, group: click.Group = thekeys
) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a command: its function gets the settings, and the flags that are its own."""

    def declare(work: Callable[..., None]) -> click.Command:
        @wraps(work)
        def command(context: click.Context, /, **own: Any) -> None:
            if context.args:  # not repeated: it may have been a share code
                raise click.UsageError("That is a word too many. Put quotes around what has a blank in it.")
            work(CommandSettings.of(context), **own)

        return group.command(name, context_settings={"allow_extra_args": True})(
            options.together(*flags)(click.pass_context(command))
        )

    return declare


def _action(name: str, target: Callable[[Any], Any], words: str, *flags: Callable[[Any], Any]) -> None:
    """Declare an action on a gateway or on one of its lockers."""

    def action(settings: CommandSettings, /, **own: Any) -> None:
        from thekeys_async.cli.actions import perform  # noqa: PLC0415 - rich and the client

        perform(settings, name, **own)

    action.__doc__ = words
    _command(target, options.GATEWAY, *flags, name=name)(action)


_action("open", options.TARGET_LOCKER, "Draw a locker's bolt back.", options.WAIT)
_action("close", options.TARGET_LOCKER, "Push a locker's bolt out.", options.WAIT)
_action("calibrate", options.TARGET_LOCKER, "Let a locker find its end positions: its bolt moves.")
_action(
    "locker_status",
    options.TARGET_LOCKER,
    """Ask a locker where its bolt is.

    It is asked over Bluetooth, which takes seconds and costs its battery.
    """,
)
_action(
    "search",
    options.TARGET_GATEWAY,
    """List the lockers that a gateway sees, or that all see.

    All of the configuration file are asked where none is named; each has 5 s then, or what --timeout says.
    """,
    options.ALL,
)
_action(
    "status",
    options.TARGET_GATEWAY,
    """Ask a gateway, or all, what it is doing.

    All of the configuration file are asked where none is named; each has 5 s then, or what --timeout says.
    """,
    options.ALL,
)
_action(
    "synchronize",
    options.TARGET_GATEWAY,
    """Synchronise the gateway with the vendor's cloud.

    This takes up to some minutes, may install firmware, and no locker can be reached meanwhile.
    """,
)
_action("auto_on", options.TARGET_GATEWAY, "Let the gateway synchronise by itself again.")
_action(
    "auto_off",
    options.TARGET_GATEWAY,
    """Let the gateway no longer synchronise by itself.

    New shares and events then wait for 'thekeys synchronize'.
    """,
)
_action(
    "update",
    options.TARGET_GATEWAY,
    """Install the gateway's firmware.

    It is installed also if it is up to date. At a terminal you are asked first.
    """,
    options.YES,
)
_action(
    "synchronize_locker",
    options.TARGET_LOCKER,
    """Synchronise a locker with the vendor's cloud.

    This may install firmware in it.
    """,
)
_action(
    "update_locker",
    options.TARGET_LOCKER,
    """Install a locker's firmware.

    At a terminal you are asked first.
    """,
    options.YES,
)


@_command(options.SETUP)
def setup(settings: CommandSettings, /, **own: Any) -> None:
    """Share all lockers, and write down their names.

    It logs in at the vendor's cloud, finds the lockers and the gateways that reported lately, makes a share for each
    locker unless it is there, and writes names, addresses and share codes into the configuration file. Phone number
    and password are not stored. Safe to repeat, for example when a gateway has a new address.
    """
    from thekeys_async.cli.setup import run_setup  # noqa: PLC0415 - rich and the cloud's client

    run_setup(settings, **own)


@_command(options.DISCOVER)
def discover(settings: CommandSettings, /, **own: Any) -> None:
    """Find gateways, without an account.

    It asks thekeys.local, the gateways of the configuration file and, where an account is given, those that reported to
    the cloud lately. With --network it asks every address there, 64 at a time and half a second each: only for status
    and lockers.
    """
    from thekeys_async.cli.discover import DiscoverSettings, run_discover  # noqa: PLC0415 - rich and the client

    run_discover(settings, DiscoverSettings(**own))


@_command(options.CHECK)
def check(settings: CommandSettings, /, **own: Any) -> None:
    """See in a minute whether a gateway is well.

    It only reads, at most 60 s and 40 requests, and takes its turns like everyone else: no bolt moves, unless
    --open-and-close names a door. It ends with 0 if all is well, with 12 if it works with a warning, and else with the
    code that other actions would have, too.
    """
    from thekeys_async.cli.check.run import CheckSettings, run_check  # noqa: PLC0415 - rich and the client

    run_check(settings, CheckSettings(**own))


@thekeys.group()
def shares() -> None:
    """List, create, switch and revoke shares."""


@_command(options.LIST_SHARES, name="list", group=shares)
def list_shares(settings: CommandSettings, /, **own: Any) -> None:
    """List the shares of a locker, or of all, those with people too.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number.
    """
    from thekeys_async.cli.shares import list_shares as work  # noqa: PLC0415 - rich and the cloud's client

    work(settings, **own)


@_command(options.CREATE_SHARE, name="create", group=shares)
def create_share(settings: CommandSettings, /, **own: Any) -> None:
    """Share a locker, with dates for a guest.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number.
    """
    from thekeys_async.cli.shares import WantedShare, create  # noqa: PLC0415 - rich and the cloud's client

    create(settings, WantedShare(**own))


@_command(options.SHARE_NUMBER, name="revoke", group=shares)
def revoke_share(settings: CommandSettings, /, number: int) -> None:
    """Delete a share.

    NUMBER is the share's in 'thekeys shares list'. One with a person can only be switched off.
    """
    from thekeys_async.cli.shares import revoke  # noqa: PLC0415 - rich and the cloud's client

    revoke(settings, number)


@_command(options.INVITE, group=shares)
def invite(settings: CommandSettings, /, **own: Any) -> None:
    """Share a locker with a person, who opens it with the vendor's app.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number; PHONE is the
    person's phone number. They are asked, and accept it in the app.
    """
    from thekeys_async.cli.shares import invite as work  # noqa: PLC0415 - rich and the cloud's client

    work(settings, **own)


@_command(options.SWITCH_SHARE, name="on", group=shares)
def switch_on(settings: CommandSettings, /, **own: Any) -> None:
    """Switch a share on.

    NUMBER is the share's in 'thekeys shares list'. The rest of the share stays as it is.
    """
    from thekeys_async.cli.shares import switch  # noqa: PLC0415 - rich and the cloud's client

    switch(settings, active=True, **own)


@_command(options.SWITCH_SHARE, name="off", group=shares)
def switch_off(settings: CommandSettings, /, **own: Any) -> None:
    """Switch a share off.

    NUMBER is the share's in 'thekeys shares list'. The rest of the share stays as it is.
    """
    from thekeys_async.cli.shares import switch  # noqa: PLC0415 - rich and the cloud's client

    switch(settings, active=False, **own)


@_command(options.REBOOT)
def reboot(settings: CommandSettings, /, **own: Any) -> None:
    """Reboot a gateway that hangs.

    The account's web pages do it. GATEWAY is a name of the configuration file, a name of the vendor's app, or the
    gateway's identifier. At a terminal you are asked first.
    """
    from thekeys_async.cli.reboot import run_reboot  # noqa: PLC0415 - rich and the cloud's client

    run_reboot(settings, **own)


@_command(options.WATCH)
def watch(settings: CommandSettings, /, **own: Any) -> None:
    """Follow lockers in a live table, until Ctrl-C.

    GATEWAY is a name of the configuration file; all of the file if none is given. Bolts are followed where a share code
    is known. With --json, each piece of news is one line.
    """
    from thekeys_async.cli.watch import WatchSettings, run_watch  # noqa: PLC0415 - rich and the client

    run_watch(settings, WatchSettings(**own))


@_command(options.PLOT)
def plot(settings: CommandSettings, /, **own: Any) -> None:
    """Draw signal and battery over time.

    FILE is what 'thekeys watch --json' has printed, or - for stdin. OUT ends in .png or .svg. It needs matplotlib,
    which comes with the extra 'plot'.
    """
    from thekeys_async.cli.plot import run_plot  # noqa: PLC0415 - rich, and with it matplotlib

    run_plot(settings, **own)


@_command(options.BRIDGE)
def bridge(settings: CommandSettings, /, **own: Any) -> None:
    """Connect locks with MQTT and Home Assistant.

    It runs until Ctrl-C. GATEWAY is a name of the configuration file; all of the file if none is given. The broker is
    that of --broker, of THEKEYS_MQTT_URL or of the file; its password that of THEKEYS_MQTT_PASSWORD or of the file,
    never of a flag. It shows metrics and a page at http://127.0.0.1:9473. It needs the extra 'bridge'.
    """
    from thekeys_async.cli.bridge import BridgeSettings, run_bridge  # noqa: PLC0415 - the client, the broker's, the page

    run_bridge(settings, BridgeSettings(**own))


@_command(options.SIMULATE)
def simulate(settings: CommandSettings, /, **own: Any) -> None:
    """Run a simulated gateway until SIGINT or SIGTERM.

    It prints one line, with its address, when it is ready. Then it takes control lines on standard input that make
    things happen to it; the line "help" lists them.
    """
    from thekeys_async.cli.simulate import Simulation, run_simulation  # noqa: PLC0415 - the simulator

    run_simulation(settings, Simulation(**own))


@_command(options.DEMO)
def demo(settings: CommandSettings, /, from_cloud: bool, bridge: bool) -> None:
    """Show what the library does, on simulated gateways."""
    if from_cloud and bridge:
        raise click.UsageError("--from-cloud and --bridge contradict each other.")
    if from_cloud:
        from thekeys_async.cli.demo.cloud import run_demo_from_cloud as run  # noqa: PLC0415 - the simulator and rich
    elif bridge:
        from thekeys_async.cli.demo.bridge import run_demo_of_bridge as run  # noqa: PLC0415 - the broker's client, too
    else:
        from thekeys_async.cli.demo.comparison import run_demo as run  # noqa: PLC0415 - the simulator and rich

    run(settings)
