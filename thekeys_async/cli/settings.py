"""The flags and the environment as values: what each text means, and what is given together."""

import ipaddress
import math
import os
import re
import shlex
from datetime import date, datetime, time
from pathlib import Path
from typing import TypeAlias

import attrs
import click

from thekeys_async.protocol.secrets import Secret

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

META = "thekeys_async.cli."
"""The beginning of the names under which a context holds the flags that many actions share."""

BEGUN = f"{META}begun"
"""The name under which a context holds that the work of an action has begun."""

DEFAULT_HOST = "thekeys.local"
"""The name gateways have on a LAN (observed, and in the vendor's own clients)."""

MOST_ADDRESSES = 1024
"""The most addresses of networks that are asked."""

_LONGEST_NUMBER = 18
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HOUR = re.compile(r"[0-9]{2}:[0-9]{2}")


def _hidden(text: "str | Secret | None") -> Secret | None:
    return Secret(text) if isinstance(text, str) else text


@attrs.frozen
class CommandSettings:
    """The flags and the environment; a flag overrides the environment, which overrides the file.

    Attributes:
        typed: The word for the action as it was typed: also `unlock`, for `open`; `shares list` inside a group.
        target: The name after the action: a locker's or a gateway's in the configuration file, or None.
        given_hosts: The values of `--host`.
        configured_host: The host in the configuration file, or None.
        identifier: The locker's number, or None.
        debug: Whether to log at DEBUG and show tracebacks.
        timeout: Seconds for the whole action, or None for the library's defaults.
        json: Whether to print JSON, and report errors as JSON.
        config: The value of `--config`, or None.
        state_dir: The value of `--state-dir`, or None.
        no_coordination: Whether turns and timestamps are shared with no other process.
        username: The phone number of the account at the vendor's cloud, as it was typed, or None.
        country: The country whose national phone numbers are understood, or None.
        cloud_url: Another cloud than the vendor's, or None.
        first_advice: The first advice where the gateway refuses the share code.
    """

    typed: str | None = None
    target: str | None = None
    given_hosts: tuple[str, ...] = ()
    configured_host: str | None = None
    identifier: int | None = None
    _code: Secret | None = attrs.field(default=None, repr=False, converter=_hidden)
    debug: bool = False
    timeout: float | None = None
    json: bool = False
    config: str | None = None
    state_dir: str | None = None
    no_coordination: bool = False
    username: str | None = None
    country: str | None = None
    cloud_url: str | None = None
    first_advice: str = ""

    @property
    def code(self) -> str | None:
        """The share code, or None."""
        return None if self._code is None else self._code.reveal()

    @property
    def given_host(self) -> str | None:
        """The value of the last `--host`, or None."""
        return self.given_hosts[-1] if self.given_hosts else None

    @property
    def chosen_host(self) -> str | None:
        """The gateway that `--host` or THEKEYS_HOST names, or None."""
        return self.given_host if self.given_host is not None else os.environ.get("THEKEYS_HOST") or None

    @property
    def host(self) -> str:
        """The gateway to ask: `--host`, or THEKEYS_HOST, or the file's, or its usual name."""
        return (self.configured_host or DEFAULT_HOST) if self.chosen_host is None else self.chosen_host

    @property
    def given_config(self) -> Path | None:
        """The configuration file that `--config` or THEKEYS_CONFIG names, or None."""
        given = self.config or os.environ.get("THEKEYS_CONFIG")
        return Path(given) if given else None

    @property
    def program(self) -> str:
        """The first words of a next step: `thekeys`, and `--config` if given, so that it finds the same file."""
        return f"thekeys --config {shlex.quote(self.config)}" if self.config else "thekeys"

    @property
    def given_code(self) -> str | None:
        """The value of `-c`, or None: a code of the environment is for whichever action needs one."""
        return None if self.code == os.environ.get("THEKEYS_CODE") else self.code

    @classmethod
    def of(cls, context: click.Context) -> "CommandSettings":
        """Collect what the flags before and after the action have left in the context."""
        given = {
            field.alias: context.meta[META + field.alias]
            for field in attrs.fields(cls)
            if META + field.alias in context.meta
        }
        group = context.parent if context.parent is not None and context.parent.parent is not None else None
        given["typed"] = context.info_name if group is None else f"{group.info_name} {context.info_name}"
        given.setdefault("code", os.environ.get("THEKEYS_CODE") or None)
        return cls(**given)


def as_number(text: str) -> int | None:
    """Read a locker's number where a name may stand as well; None if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def locker_number(text: str) -> int:
    """Read a locker's number. The error does not repeat what was typed: it may have been a share code."""
    number = as_number(text)
    if number is None:
        del text  # an error that is shown with its local variables must not show it
        raise click.BadParameter("a locker's identifier is a number, for example 45961123")
    return number


def share_number(text: str) -> int:
    """Read a share's number. The error does not repeat what was typed: it may have been a share code."""
    number = as_number(text)
    if number is None:
        del text
        raise click.BadParameter("'thekeys shares list' has the numbers of shares, for example 3703")
    return number


def simulated_locker(text: str) -> tuple[int, Secret | None]:
    """Read a locker and, after a colon, its share code."""
    identifier, colon, _ = text.partition(":")
    code = Secret(text.partition(":")[2])
    del text
    if colon and not (code.reveal() and code.reveal().isascii()):
        raise click.BadParameter("after the colon belongs a share code: ASCII text that is not empty")
    return locker_number(identifier), code if colon else None


def network(text: str) -> Network:
    """Read a network of the user's own."""
    try:
        found = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise click.BadParameter("a network is written as 192.168.0.0/24") from None
    if found.num_addresses > MOST_ADDRESSES:
        raise click.BadParameter(f"at most {MOST_ADDRESSES} addresses are asked, as in 192.168.0.0/22")
    if found.is_global or found.is_multicast:
        raise click.BadParameter("only the addresses of a network of your own are asked, such as 192.168.0.0/24")
    return found


def seconds(text: str) -> float:
    """Read a length of time."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter("a number of seconds above 0 is needed, for example 60")
    return number


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
