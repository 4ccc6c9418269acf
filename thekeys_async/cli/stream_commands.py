"""`watch` and `plot`: their flags. Importing this loads click, and nothing that draws."""

from pathlib import Path
from typing import Any, TextIO

import click

from thekeys_async.cli import completion
from thekeys_async.cli.options import Settings, output_options, seconds, watch_options


@click.command()
@watch_options
@click.argument("gateways", nargs=-1, metavar="[GATEWAY]...", shell_complete=completion.gateways)
@click.option(
    "--interval",
    type=seconds,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="From poll to poll of a gateway.",
)
@click.option("--every-poll", is_flag=True, help="With --json: a line for each poll, also if nothing has changed.")
@click.pass_context
def watch(context: click.Context, /, **how: Any) -> None:
    """Follow lockers in a live table, until Ctrl-C.

    GATEWAY is a name of the configuration file; all of the file if none is given. Bolts are followed where a share code
    is known. With --json, each piece of news is one line.
    """
    from thekeys_async.cli.watch import Wish, run_watch  # noqa: PLC0415 - rich and the client, which --help does without

    settings = Settings.of(context)
    if settings.identifier is None and settings.given_code is not None:
        raise click.UsageError("Say with -i whose share code that is.")
    run_watch(settings, Wish(**how))


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
