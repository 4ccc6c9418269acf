"""The commands that ask the vendor's cloud: `setup`, and `shares` with its three."""

import re
import sys
from datetime import date, datetime, time
from typing import Any

import click

from thekeys_async.cli.names import complete_gateway, complete_locker
from thekeys_async.cli.options import (
    MOST_ADDRESSES,
    Settings,
    cloud_options,
    coordination_options,
    discover_options,
    network,
)
from thekeys_async.protocol.secrets import Secret

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HOUR = re.compile(r"[0-9]{2}:[0-9]{2}")


def moment(text: str) -> datetime | date | time:
    """Read a day, a moment, or an hour of every day; a moment without a zone is in the locker's."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if _HOUR.fullmatch(text):
            return time.fromisoformat(text)
        if _DAY.match(text) and len(text) > len("2026-08-01T"):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise click.BadParameter("write 2026-08-01, '2026-08-01 16:00', or 16:00 for every day")


def pin(text: str) -> Secret:
    """Read a PIN. The error does not repeat what was typed."""
    wrapped = Secret.of(text) if text.isascii() else None
    del text
    if wrapped is None:
        raise click.BadParameter("a PIN is ASCII text that is not empty")
    return wrapped


_WHEN = "A day, '2026-08-01 16:00', or 16:00 for every day."


@click.command()
@cloud_options
@coordination_options
@click.option("--share-name", default="thekeys", show_default=True, help="What the shares are called in the cloud.")
@click.option("--synchronize", is_flag=True, help="Synchronise gateways and lockers too; may install firmware.")
@click.option(
    "--allow-public", is_flag=True, help="Take a gateway wherever the cloud says it is, not only on a private network."
)
@click.pass_context
def setup(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """Share all lockers, and write down their names.

    It logs in at the vendor's cloud, finds the lockers and the gateways that reported lately, makes a share for each
    locker unless it is there, and writes names, addresses and share codes into the configuration file. Phone number
    and password are not stored. Safe to repeat, for example when a gateway has a new address.
    """
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx
    from thekeys_async.cli.setup import run_setup  # noqa: PLC0415 - rich

    settings = Settings.of(context)
    run_setup(settings, log_in(settings, username, country, cloud_url), **how)


@click.command()
@discover_options
@click.option(
    "--network",
    "networks",
    type=network,
    multiple=True,
    metavar="NETWORK",
    help="Ask all addresses of a network of yours, for example 192.168.0.0/24. May be given several times.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=80, show_default=True, help="The port that --network asks."
)
@click.option("--save", is_flag=True, help="Write what was found into the configuration file.")
@click.pass_context
def discover(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """Find gateways, without an account.

    It asks thekeys.local, the gateways of the configuration file and, where an account is given, those that reported to
    the cloud lately. With --network it asks every address there, 64 at a time and half a second each: only for status
    and lockers.
    """
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx
    from thekeys_async.cli.discover import DiscoverSettings, run_discover  # noqa: PLC0415 - rich and the client

    if sum(each.num_addresses for each in how["networks"]) > MOST_ADDRESSES:
        raise click.UsageError(f"--network: at most {MOST_ADDRESSES} addresses are asked.")
    settings = Settings.of(context)
    login = log_in(settings, username, country, cloud_url) if username else None
    run_discover(settings, DiscoverSettings(login=login, **how))


@click.group()
def shares() -> None:
    """List, create, switch and revoke shares."""


@shares.command("list")
@cloud_options
@click.argument("locker", required=False, shell_complete=complete_locker)
@click.option("--show-codes", is_flag=True, help="Show the codes, too: whoever has one can open the door.")
@click.pass_context
def list_shares(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """List the shares of a locker, or of all, those with people too.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number.
    """
    from thekeys_async.cli import shares as work  # noqa: PLC0415 - rich
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx

    settings = Settings.of(context)
    work.show(settings, log_in(settings, username, country, cloud_url), **how)


@shares.command("create")
@cloud_options
@click.argument("locker", shell_complete=complete_locker)
@click.option("--name", required=True, help="What the share is called.")
@click.option(
    "--with", "accessory", metavar="ACCESSORY", help="The keypad, gateway or other; needed if there are several."
)
@click.option("--from", "starts", type=moment, metavar="WHEN", help=f"From when it opens. {_WHEN}")
@click.option("--until", "ends", type=moment, metavar="WHEN", help="Until when; a day counts to its end.")
@click.option("--pin", envvar="THEKEYS_PIN", type=pin, metavar="PIN", help="What a guest types. Better in THEKEYS_PIN.")
@click.option("--description", default="", help="Free text.")
@click.option("--show-codes", is_flag=True, help="Show the code, too: whoever has it can open the door.")
@click.pass_context
def create_share(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """Share a locker, with dates for a guest.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number.
    """
    from thekeys_async.cli import shares as work  # noqa: PLC0415 - rich
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx

    wanted = work.WantedShare(**how)
    settings = Settings.of(context)
    work.create(settings, log_in(settings, username, country, cloud_url), wanted)


@shares.command("revoke")
@cloud_options
@click.argument("number", type=click.IntRange(0))
@click.pass_context
def revoke_share(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, number: int
) -> None:
    """Delete a share, by its number in 'thekeys shares list'; one with a person can only be switched off."""
    from thekeys_async.cli import shares as work  # noqa: PLC0415 - rich
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx

    settings = Settings.of(context)
    work.revoke(settings, log_in(settings, username, country, cloud_url), number)


@shares.command("invite")
@cloud_options
@click.argument("locker", shell_complete=complete_locker)
@click.argument("phone")
@click.option("--name", required=True, help="What the share is called.")
@click.option("--description", default="", help="Free text.")
@click.pass_context
def invite(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """Share a locker with a person, who opens it with the vendor's app.

    LOCKER is a name of the configuration file, a name of the vendor's app, or the locker's number; PHONE is the
    person's phone number. They are asked, and accept it in the app.
    """
    from thekeys_async.cli import shares as work  # noqa: PLC0415 - rich
    from thekeys_async.cli.account import log_in, phone_number  # noqa: PLC0415 - httpx

    phone = phone_number(how.pop("phone"), country, "Whom to share with")
    settings = Settings.of(context)
    work.invite(settings, log_in(settings, username, country, cloud_url), phone=phone, **how)


def _switch(word: str, *, active: bool, does: str) -> None:
    @shares.command(word, help=f"{does}, by its number in 'thekeys shares list'; the rest of it stays.")
    @cloud_options
    @click.argument("number", type=click.IntRange(0))
    @click.option("--person", is_flag=True, help="It is a share with a person, if another has the same number.")
    @click.pass_context
    def switch(
        context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
    ) -> None:
        from thekeys_async.cli import shares as work  # noqa: PLC0415 - rich
        from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx

        settings = Settings.of(context)
        work.switch(settings, log_in(settings, username, country, cloud_url), active=active, **how)

    del switch


_switch("on", active=True, does="Switch a share on")
_switch("off", active=False, does="Switch a share off")


@click.command()
@cloud_options
@click.argument("gateway", shell_complete=complete_gateway)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def reboot(
    context: click.Context, /, username: str | None, country: str | None, cloud_url: str | None, **how: Any
) -> None:
    """Reboot a gateway that hangs.

    The account's web pages do it. GATEWAY is a name of the configuration file, a name of the vendor's app, or the
    gateway's identifier. At a terminal you are asked first.
    """
    from thekeys_async.cli.account import log_in  # noqa: PLC0415 - httpx
    from thekeys_async.cli.reboot import run_reboot  # noqa: PLC0415 - rich

    if not how["yes"] and sys.stdin is not None and sys.stdin.isatty():
        question = "Reboot the gateway: it is away for some seconds, and drops what it does. Go on?"
        click.confirm(question, abort=True, err=True)
    settings = Settings.of(context)
    run_reboot(settings, log_in(settings, username, country, cloud_url), how["gateway"])
