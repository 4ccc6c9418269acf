"""The flags that all actions share. They count before the action and after it; what stands after it wins."""

import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import click

_F = TypeVar("_F", bound=Callable[..., Any])
_META = "thekeys_async.cli."
_LONGEST = 18

DEFAULT_HOST = "thekeys.local"
"""The name gateways have on a LAN (observed, and in the vendor's own clients)."""


@attrs.frozen
class Settings:
    """What the flags and the environment say; a flag overrides the environment, which overrides the default.

    Attributes:
        given_host: What `--host` says, or None.
        identifier: Which locker, or None.
        code: The share code, or None.
        debug: Whether to log at DEBUG and show tracebacks.
        timeout: Seconds for the whole action, or None for the library's defaults.
        json: Whether to print JSON, and report errors as JSON.
    """

    given_host: str | None = None
    identifier: int | None = None
    code: str | None = attrs.field(default=None, repr=False)
    debug: bool = False
    timeout: float | None = None
    json: bool = False

    @property
    def host(self) -> str:
        """The gateway to ask: `--host`, or THEKEYS_HOST, or its usual name."""
        if self.given_host is not None:
            return self.given_host
        return os.environ.get("THEKEYS_HOST") or DEFAULT_HOST

    @classmethod
    def of(cls, context: click.Context) -> "Settings":
        """Collect what the flags before and after the action have left in the context."""
        given = {
            field.name: context.meta[_META + field.name]
            for field in attrs.fields(cls)
            if _META + field.name in context.meta
        }
        given.setdefault("code", os.environ.get("THEKEYS_CODE") or None)
        return cls(**given)


def locker_number(text: str) -> int:
    """Read a locker's number. The error does not repeat what was typed: it may have been a share code."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST):
        raise click.BadParameter("a locker's identifier is a number, for example 45961123")
    return int(text)


def simulated_locker(text: str) -> tuple[int, str | None]:
    """Read a locker and, after a colon, its share code."""
    identifier, colon, code = text.partition(":")
    if colon and not (code and code.isascii()):
        raise click.BadParameter("after the colon belongs a share code: ASCII text that is not empty")
    return locker_number(identifier), code or None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise click.BadParameter("a number of seconds above 0 is needed, for example 60")
    return seconds


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None and value is not False:
        context.meta[f"{_META}{parameter.name}"] = value


def _shared(*names: str, **settings: Any) -> Callable[[_F], _F]:
    return click.option(*names, expose_value=False, callback=_remember, **settings)


_HOST = _shared(
    "--host",
    "given_host",
    metavar="HOST",
    help=f"The gateway: a name or address, with :port if it is not 80. Or THEKEYS_HOST; else {DEFAULT_HOST}.",
)
_LOCKER = _shared(
    "-i", "--identifier", type=locker_number, metavar="IDENTIFIER", help="The locker's number, as printed on it."
)
_CODE = _shared(
    "-c",
    "--code",
    metavar="CODE",
    help="The share code of locker and gateway. Better in THEKEYS_CODE: others can read a process's arguments.",
)
_TIMEOUT = _shared(
    "--timeout",
    type=_seconds,
    metavar="SECONDS",
    help="Time for the whole action, with waiting its turn. Default 30; 300 to synchronise or update.",
)
_JSON = _shared("--json", is_flag=True, is_eager=True, help="Print JSON on stdout; errors are JSON too, on stderr.")
_DEBUG = _shared("-d", "--debug", is_flag=True, is_eager=True, help="Log on stderr, and show tracebacks.")


def gateway_options(function: _F) -> _F:
    """Give a command every flag that says which gateway and locker, and how to ask them."""
    return _HOST(_LOCKER(_CODE(_TIMEOUT(_JSON(_DEBUG(function))))))


def simulate_options(function: _F) -> _F:
    """Give `simulate` the flags that mean something to it; `--host` is where it listens."""
    listen = _shared("--host", "given_host", metavar="ADDRESS", help="Where to listen. Default 127.0.0.1.")
    return listen(_CODE(output_options(function)))


def output_options(function: _F) -> _F:
    """Give a command that asks no gateway only the flags on what it prints."""
    return _JSON(_DEBUG(function))
