"""Whose account at the vendor's cloud: from flags, environment or a person at the prompt. It is never stored."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import attrs
import click

from thekeys_async.cli.options import Settings
from thekeys_async.cloud import Cloud
from thekeys_async.cloud.models import international
from thekeys_async.protocol.secrets import Secret

_UNATTENDED = "Nobody is there to be asked: give --username, or THEKEYS_USERNAME, and THEKEYS_PASSWORD."


@attrs.frozen
class Login:
    """What it takes to ask the cloud.

    Attributes:
        username: The account's phone number, international.
        password: Its password.
        url: Where the cloud is; None for the vendor's.
    """

    username: str
    password: Secret
    url: str | None

    def cloud(self, settings: Settings) -> Cloud:
        """Make a client, to be entered.

        Raises:
            click.UsageError: The URL is not one to send a password to.
        """
        options: dict[str, Any] = {"base_url": self.url, "timeout": settings.timeout}
        problem = None
        try:
            return Cloud(self.username, self.password.reveal(), **{k: v for k, v in options.items() if v is not None})
        except ValueError as error:
            problem = str(error)
        raise click.UsageError(f"--cloud-url: {problem}.")


def log_in(username: str | None, country: str | None, cloud_url: str | None) -> Login:
    """Take what flags and environment give, and ask for the rest; the password is not echoed.

    Raises:
        click.UsageError: The phone number is none, or nobody is there to be asked.
    """
    try:
        given = username or click.prompt("Phone number of the account", err=True)
        number = phone_number(given, country)
        password = Secret.of(os.environ.get("THEKEYS_PASSWORD")) or Secret.of(
            click.prompt("Password", hide_input=True, err=True)
        )
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError(_UNATTENDED) from None
    if password is None:
        raise click.UsageError("The password can't be sent: it is not text.")
    return Login(number, password, cloud_url)


def phone_number(number: str, country: str | None, what: str = "The account's user name") -> str:
    """Read a phone number.

    Args:
        number: As it was typed.
        country: Whose national numbers are understood.
        what: What it is, for the message.

    Raises:
        click.UsageError: It is none.
    """
    try:
        return international(number, country)
    except ValueError:
        words = f"{what} is a phone number, written internationally: +33612345678."
        raise click.UsageError(f"{words} '--country FR' allows 0612345678.") from None


@contextmanager
def flags_checked() -> Generator[None]:
    """Turn what the client refuses to send into a wrong flag: no name, or an end before the start.

    Raises:
        click.UsageError: It refuses.
    """
    try:
        yield
    except UnicodeError:
        raise click.UsageError("There is a character in a flag that can't be sent.") from None
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
