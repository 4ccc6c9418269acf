"""The log-in at the vendor's cloud: from flags, environment or a person at the prompt. It is never stored."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import attrs
import click

from thekeys_async.cli.errors import ExitCode, Failure, other_failure
from thekeys_async.cli.options import Settings
from thekeys_async.cloud import Cloud
from thekeys_async.cloud.models import international
from thekeys_async.protocol.secrets import Secret

_NUMBER = "--username (or THEKEYS_USERNAME)"
_PASSWORD = "THEKEYS_PASSWORD"  # noqa: S105 - the name of a variable


@attrs.frozen
class Login:
    """A log-in, and the cloud where it is used.

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


def log_in(settings: Settings, username: str | None, country: str | None, cloud_url: str | None) -> Login:
    """Take what flags and environment give, and ask for the rest; the password is not echoed.

    Where standard input is no terminal, the rest is read from it, a line for each.

    Raises:
        click.UsageError: The phone number is none.
        Failure: Nobody is there to be asked.
    """
    missing = " and ".join([*([] if username else [_NUMBER]), *([] if os.environ.get(_PASSWORD) else [_PASSWORD])])
    number = Secret.of(username) or _asked("Phone number of the account", hidden=False)
    if number is None:
        raise _unattended(settings, missing)
    checked = phone_number(number.reveal(), country)
    password = Secret.of(os.environ.get(_PASSWORD)) or _asked("Password", hidden=True)
    if password is None:
        raise _unattended(settings, missing)
    return Login(checked, password, cloud_url)


def _asked(what: str, *, hidden: bool) -> Secret | None:
    """Ask a person, or read a line where there is no terminal; None if nothing came that can be sent."""
    if sys.stdin is not None and sys.stdin.isatty():
        return Secret.of(click.prompt(what, hide_input=hidden, err=True))
    return None if sys.stdin is None else Secret.of(sys.stdin.readline().rstrip("\r\n"))


def _unattended(settings: Settings, missing: str) -> Failure:
    sentence = f"Nobody is there to be asked for the log-in: give {missing}."
    return other_failure("UsageError", sentence, ExitCode.USAGE, as_json=settings.json)


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
