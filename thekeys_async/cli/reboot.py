"""`thekeys reboot`: the way out for a gateway that hangs, through the account's web pages."""

from collections.abc import Sequence
from functools import partial

import click

from thekeys_async.cli import output, targets
from thekeys_async.cli.account import Login
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.options import Settings
from thekeys_async.cli.runner import run
from thekeys_async.cloud import Gateway
from thekeys_async.config.values import GatewayConfig
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.text import printable


def run_reboot(settings: Settings, login: Login, wanted: str) -> None:
    """Find the gateway in the account, and order its reboot.

    Args:
        settings: The flags.
        login: Whose account.
        wanted: The gateway's name in the file or in the app, or its identifier.

    Raises:
        Failure: It was not rebooted, or nobody knows.
    """
    known = targets.gateway_of_file(settings, wanted)
    with output.waiting("asking the vendor's cloud ...", shown=not (settings.json or settings.debug)):
        gateway = run(settings, Effect.REBOOT, partial(_reboot, settings, login, wanted, known))
    with output.said(Effect.REBOOT, as_json=settings.json):
        if settings.json:
            output.print_json({"rebooted": gateway.identifier, "name": gateway.name})
        else:
            name = printable(gateway.name or gateway.identifier)
            output.print_rich(f"Gateway {name} is rebooting. It is away for some seconds.")


async def _reboot(settings: Settings, login: Login, wanted: str, known: GatewayConfig | None) -> Gateway:
    async with login.cloud(settings) as cloud:
        gateway = _chosen(await cloud.gateways(), wanted, known)
        await cloud.reboot(gateway)
    return gateway


def _chosen(gateways: Sequence[Gateway], wanted: str, known: GatewayConfig | None) -> Gateway:
    """Choose the gateway that is meant: the one of the file, else by identifier, else by its name in the app."""
    found: list[Gateway] = []
    if known is not None:
        found = [each for each in gateways if (each.identifier == known.id if known.id else _is_at(each, known.host))]
    found = found or [each for each in gateways if each.identifier == wanted]
    found = found or [each for each in gateways if each.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    there = printable(", ".join(f"{each.identifier} ({each.name})" for each in gateways)) or "none"
    raise click.UsageError(f"Say which gateway, by name or identifier. The account has: {there}.")


def _is_at(gateway: Gateway, host: str) -> bool:
    return gateway.address is not None and Address.parse(gateway.address) == Address.parse(host)
