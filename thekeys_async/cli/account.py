"""The account at the vendor's cloud: its log-in, which is never stored, and what the commands that ask it share."""

import os
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import click

from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect, ExitCode, Failure, other_failure
from thekeys_async.cli.names import nearest_first
from thekeys_async.cli.runner import run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cloud import Accessory, Cloud, Gateway, Locker
from thekeys_async.cloud.models import international
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

_NUMBER = "--username (or THEKEYS_USERNAME)"
_PASSWORD = "THEKEYS_PASSWORD"  # noqa: S105 - the name of a variable
_T = TypeVar("_T")
_Thing = TypeVar("_Thing", Locker, Gateway, Accessory)


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

    def cloud(self, settings: CommandSettings) -> Cloud:
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


def log_in(settings: CommandSettings) -> Login:
    """Take what flags and environment give, and ask for the rest; the password is not echoed.

    Where standard input is no terminal, the rest is read from it, a line for each.

    Raises:
        click.UsageError: The phone number is none.
        Failure: Nobody is there to be asked.
    """
    given = {_NUMBER: bool(settings.username), _PASSWORD: bool(os.environ.get(_PASSWORD))}
    missing = " and ".join(name for name, is_given in given.items() if not is_given)
    number = Secret.of(settings.username) or _asked("Phone number of the account", hidden=False)
    if number is None:
        raise _unattended(settings, missing)
    checked = phone_number(settings, number.reveal())
    password = Secret.of(os.environ.get(_PASSWORD)) or _asked("Password", hidden=True)
    if password is None:
        raise _unattended(settings, missing)
    return Login(checked, password, settings.cloud_url)


def ask_cloud(settings: CommandSettings, effect: Effect, question: Callable[[Cloud], Awaitable[_T]]) -> _T:
    """Log in at the cloud, and ask it.

    Args:
        settings: The flags.
        effect: What the question may change: a failure says whether it has.
        question: What to ask.

    Raises:
        Failure: It was not answered.
    """
    login = log_in(settings)

    async def ask() -> _T:
        async with login.cloud(settings) as cloud:
            return await question(cloud)

    with output.waiting(settings, "asking the vendor's cloud ..."):
        return run(settings, effect, ask)


def the_one_meant(things: Sequence[_Thing], typed: str | None, identifier: object, sentence: str) -> _Thing:
    """Choose among the things of an account: by its identifier, else by its name; the only one if nothing was typed.

    Args:
        things: Those there are.
        typed: How a person calls it.
        identifier: Its identifier, if that is what was typed, or known.
        sentence: What to say if it can't be told; the list of what there is goes on with it.

    Raises:
        click.UsageError: There is none, or several; it lists what there is, the nearest first.
    """
    found = [each for each in things if typed is None or each.identifier == identifier]
    found = found or [each for each in things if each.name.casefold() == (typed or "").casefold()]
    if len(found) == 1:
        return found[0]
    nearest = nearest_first([each.name for each in things], typed or "")
    listed = (f"{each.identifier} ({each.name})" for each in sorted(things, key=lambda each: nearest.index(each.name)))
    raise click.UsageError(f"{sentence} {printable(', '.join(listed)) or 'none'}.")


def _asked(what: str, *, hidden: bool) -> Secret | None:
    """Ask a person, or read a line where there is no terminal; None if nothing came that can be sent."""
    if output.is_attended():
        return Secret.of(click.prompt(what, hide_input=hidden, err=True))
    return None if sys.stdin is None else Secret.of(sys.stdin.readline().rstrip("\r\n"))


def _unattended(settings: CommandSettings, missing: str) -> Failure:
    sentence = f"Nobody is there to be asked for the log-in: give {missing}."
    return other_failure("UsageError", sentence, ExitCode.USAGE, as_json=settings.json)


def phone_number(settings: CommandSettings, number: str, what: str = "The account's user name") -> str:
    """Read a phone number.

    Args:
        settings: The flags, which say whose national numbers are understood.
        number: As it was typed.
        what: What it is, for the message.

    Raises:
        click.UsageError: It is none.
    """
    try:
        return international(number, settings.country)
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
        raise click.UsageError("A flag holds a character that can't be sent. Change that, and try again.") from None
    except ValueError as error:
        problem = str(error)
        raise click.UsageError(f"{problem[:1].upper()}{problem[1:]}. Change that, and try again.") from None
