"""`thekeys reboot`: the way out for a gateway that hangs, through the account's web pages."""

import click

from thekeys_async.cli import output, targets
from thekeys_async.cli.account import ask_cloud, the_one_meant
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cloud import Cloud, Gateway
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.text import printable


def run_reboot(settings: CommandSettings, *, gateway: str, yes: bool) -> None:
    """Find the gateway in the account, and order its reboot.

    Args:
        settings: The flags.
        gateway: The gateway's name in the file or in the app, or its identifier.
        yes: Whether a person was asked already.

    Raises:
        Failure: It was not rebooted, or nobody knows.
    """
    if not yes and output.is_attended():
        question = "Reboot the gateway: it is away for some seconds, and drops what it does. Go on?"
        click.confirm(question, abort=True, err=True)
    known = targets.gateway_of_file(settings, gateway)

    async def ask(cloud: Cloud) -> Gateway:
        there = await cloud.gateways()
        of_file = (
            []
            if known is None
            else [each for each in there if (each.identifier == known.id if known.id else _is_at(each, known.host))]
        )
        sentence = "Say which gateway, by name or identifier. The account has:"
        chosen = of_file[0] if len(of_file) == 1 else the_one_meant(there, gateway, gateway, sentence)
        await cloud.reboot(chosen)
        return chosen

    rebooted = ask_cloud(settings, Effect.REBOOT, ask)
    name = printable(rebooted.name or rebooted.identifier)
    value = {"rebooted": rebooted.identifier, "name": rebooted.name}
    output.show(settings, Effect.REBOOT, value, f"Gateway {name} is rebooting. It is away for some seconds.")


def _is_at(gateway: Gateway, host: str) -> bool:
    return gateway.address is not None and Address.parse(gateway.address) == Address.parse(host)
