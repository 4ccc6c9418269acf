"""`watch`, `plot` and `bridge`: their flags. Importing this loads click, and nothing that draws or connects."""

from pathlib import Path
from typing import Any, TextIO

import click

from thekeys_async.cli.names import complete_gateway
from thekeys_async.cli.options import Settings, bridge_options, output_options, seconds, watch_options


@click.command()
@watch_options
@click.argument("gateways", nargs=-1, metavar="[GATEWAY]...", shell_complete=complete_gateway)
@click.option(
    "--interval",
    type=seconds,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="From poll to poll of a gateway.",
)
@click.option("--every-poll", is_flag=True, help="With --json: a line for each poll, also if nothing has changed.")
@click.option(
    "--save-wire",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record what the gateways do, without what tells whose they are.",
)
@click.pass_context
def watch(context: click.Context, /, **how: Any) -> None:
    """Follow lockers in a live table, until Ctrl-C.

    GATEWAY is a name of the configuration file; all of the file if none is given. Bolts are followed where a share code
    is known. With --json, each piece of news is one line.
    """
    from thekeys_async.cli.watch import WatchSettings, run_watch  # noqa: PLC0415 - rich and the client, which --help does without

    settings = Settings.of(context)
    if settings.identifier is None and settings.given_code is not None:
        raise click.UsageError("Say with -i whose share code that is.")
    run_watch(settings, WatchSettings(**how))


@click.command()
@output_options
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"))
@click.argument("picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="OUT")
@click.pass_context
def plot(context: click.Context, /, file: TextIO, picture: Path) -> None:
    """Draw signal and battery over time.

    FILE is what 'thekeys watch --json' has printed, or - for stdin. OUT ends in .png or .svg. It needs matplotlib,
    which comes with the extra 'plot'.
    """
    from thekeys_async.cli.plot import run_plot  # noqa: PLC0415 - rich, and with it matplotlib

    run_plot(Settings.of(context), file, picture)


@click.command()
@bridge_options
@click.argument("gateways", nargs=-1, metavar="[GATEWAY]...", shell_complete=complete_gateway)
@click.option("--broker", metavar="URL", help="mqtt://HOST[:1883] or mqtts://HOST[:8883], without a password.")
@click.option("--prefix", metavar="TOPIC", help="What topics begin with; else thekeys.")
@click.option("--interval", type=seconds, metavar="SECONDS", help="From poll to poll of a gateway; else 10.")
@click.option("--standby", is_flag=True, help="Wait until no other bridge leads, and take over when it ends.")
@click.option("--check", is_flag=True, help="Only print what would be published, and connect nowhere.")
@click.option("--purge", is_flag=True, help="Only empty every retained topic of this bridge.")
@click.pass_context
def bridge(context: click.Context, /, **how: Any) -> None:
    """Connect locks with MQTT and Home Assistant.

    It runs until Ctrl-C. GATEWAY is a name of the configuration file; all of the file if none is given. The broker is
    that of --broker, of THEKEYS_MQTT_URL or of the file; its password that of THEKEYS_MQTT_PASSWORD or of the file,
    never of a flag. It shows metrics and a page at http://127.0.0.1:9473. It needs the extra 'bridge'.
    """
    if how["check"] and how["purge"]:
        raise click.UsageError("--check and --purge contradict each other.")
    from thekeys_async.cli.bridge import Wish, run_bridge  # noqa: PLC0415 - the client, the broker's and the web server

    run_bridge(Settings.of(context), Wish(**how))
