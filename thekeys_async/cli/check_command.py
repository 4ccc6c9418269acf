"""`check`: its flags. Importing this loads click, and nothing that asks."""

from pathlib import Path

import click

from thekeys_async.cli.names import complete_gateway, complete_locker
from thekeys_async.cli.options import Settings, check_options, target_argument


@click.command()
@target_argument("GATEWAY", complete_gateway)
@check_options
@click.option(
    "--open-and-close",
    "door",
    metavar="DOOR",
    shell_complete=complete_locker,
    help="Also open this door and close it again, after a question, and say how long that takes.",
)
@click.option("-y", "--yes", is_flag=True, help="With --open-and-close: do not ask.")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record what the gateway does, without what tells whose it is.",
)
@click.option(
    "--anonymous",
    is_flag=True,
    help="Print JSON that can be sent to anyone: no addresses, names or numbers of lockers.",
)
@click.pass_context
def check(context: click.Context, /, door: str | None, yes: bool, save: Path | None, anonymous: bool) -> None:
    """See in a minute whether a gateway is well.

    It only reads, at most 60 s and 40 requests, and takes its turns like everyone else: no bolt moves, unless
    --open-and-close names a door. It ends with 0 if all is well, with 12 if it works with a warning, and else with the
    code that other actions would have, too.
    """
    from thekeys_async.cli.check.run import Wish, run_check  # noqa: PLC0415 - rich and the client, which --help does without

    settings = Settings.of(context)
    if settings.identifier is None and settings.given_code is not None:
        raise click.UsageError("Say with -i whose share code that is.")
    run_check(settings, Wish(door=door, yes=yes, save=save, anonymous=anonymous))
