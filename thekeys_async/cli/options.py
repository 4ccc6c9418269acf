"""The flags that all actions share. They count before the action and after it; what stands after it wins."""

import ipaddress
import math
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
import click

from thekeys_async.protocol.secrets import Secret

_F = TypeVar("_F", bound=Callable[..., Any])
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_ADDRESSES = 1024
"""The most addresses of networks that are asked."""

_META = "thekeys_async.cli."

LONGEST_NUMBER = 18
"""Digits of the longest locker's number that is taken."""

DEFAULT_HOST = "thekeys.local"
"""The name gateways have on a LAN (observed, and in the vendor's own clients)."""


def _hidden(text: "str | Secret | None") -> Secret | None:
    return Secret(text) if isinstance(text, str) else text


@attrs.frozen
class Settings:
    """The flags and the environment; a flag overrides the environment, which overrides the file.

    Attributes:
        typed: The word for the action as it was typed: also `unlock`, for `open`; `shares list` inside a group.
        target: The name after the action: a locker's or a gateway's in the configuration file, or None.
        given_hosts: What `--host` says, each time it is given.
        configured_host: What the configuration file says, or None.
        identifier: Which locker, or None.
        debug: Whether to log at DEBUG and show tracebacks.
        timeout: Seconds for the whole action, or None for the library's defaults.
        json: Whether to print JSON, and report errors as JSON.
        config: What `--config` says, or None.
        state_dir: What `--state-dir` says, or None.
        no_coordination: Whether turns and timestamps are shared with no other process.
        first_advice: What to say first where the gateway refuses the share code.
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
    first_advice: str = ""

    @property
    def code(self) -> str | None:
        """The share code, or None."""
        return None if self._code is None else self._code.reveal()

    @property
    def given_host(self) -> str | None:
        """What `--host` says, the last time it is given, or None."""
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
        """How a next step begins, so that it finds the same configuration file: `thekeys`, and `--config` if given."""
        return f"thekeys --config {shlex.quote(self.config)}" if self.config else "thekeys"

    @property
    def given_code(self) -> str | None:
        """What `-c` says, or None: a code of the environment is for whoever needs one."""
        return None if self.code == os.environ.get("THEKEYS_CODE") else self.code

    @classmethod
    def of(cls, context: click.Context) -> "Settings":
        """Collect what the flags before and after the action have left in the context."""
        given = {
            field.alias: context.meta[_META + field.alias]
            for field in attrs.fields(cls)
            if _META + field.alias in context.meta
        }
        group = context.parent if context.parent is not None and context.parent.parent is not None else None
        given["typed"] = context.info_name if group is None else f"{group.info_name} {context.info_name}"
        given.setdefault("code", os.environ.get("THEKEYS_CODE") or None)
        return cls(**given)


def locker_number(text: str) -> int:
    """Read a locker's number. The error does not repeat what was typed: it may have been a share code."""
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER):
        del text  # an error that is shown with its local variables must not show it
        raise click.BadParameter("a locker's identifier is a number, for example 45961123")
    return int(text)


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


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None and value is not False and value != ():
        context.meta[f"{_META}{parameter.name}"] = value


def _shared(*names: str, **settings: Any) -> Callable[[_F], _F]:
    return click.option(*names, expose_value=False, callback=_remember, **settings)


_HOST = _shared(
    "--host",
    "given_hosts",
    multiple=True,
    metavar="HOST",
    help=f"The gateway: a name or address, with :port if it is not 80. Or THEKEYS_HOST; else {DEFAULT_HOST}.",
)
_HOSTS = _shared(
    "--host",
    "given_hosts",
    multiple=True,
    metavar="HOST",
    help="A gateway; may be given several times. Or THEKEYS_HOST; else those of the configuration file.",
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
    type=seconds,
    metavar="SECONDS",
    help="Time for the whole action, with waiting its turn. Default 30; 300 to synchronise or update.",
)
_WATCH_TIMEOUT = _shared(
    "--timeout", type=seconds, metavar="SECONDS", help="End by itself after so long. Default: never."
)
_CLOUD_TIMEOUT = _shared(
    "--timeout",
    type=seconds,
    metavar="SECONDS",
    help="Time for each question to the cloud, with log-in and retries. Default 30.",
)
_DISCOVER_TIMEOUT = _shared(
    "--timeout",
    type=seconds,
    metavar="SECONDS",
    help="Time for each request to a gateway that is known, and for each question to the cloud. Default 5, and 30.",
)
_CHECK_TIMEOUT = _shared(
    "--timeout", type=seconds, metavar="SECONDS", help="End the reads sooner than after 60 s, which is the default."
)
_CONFIG = _shared(
    "--config", metavar="FILE", help="The file with names for gateways and lockers. Or THEKEYS_CONFIG; see the docs."
)
_STATE_DIR = _shared(
    "--state-dir",
    metavar="FOLDER",
    help="Where processes that drive the same gateways share turns and timestamps. Or THEKEYS_STATE_DIR, or a Redis in "
    "THEKEYS_REDIS_URL; else a folder of yours.",
)
_NO_COORDINATION = _shared("--no-coordination", is_flag=True, help="Share turns and timestamps with no other process.")
_JSON = _shared("--json", is_flag=True, is_eager=True, help="Print JSON on stdout; errors are JSON too, on stderr.")
_DEBUG = _shared("-d", "--debug", is_flag=True, is_eager=True, help="Log on stderr, and show tracebacks.")

_USERNAME = click.option(
    "--username",
    envvar="THEKEYS_USERNAME",
    metavar="PHONE",
    help="The account's phone number: +33612345678. Or THEKEYS_USERNAME; else you are asked. The password comes from "
    "THEKEYS_PASSWORD, else you are asked.",
)
_COUNTRY = click.option(
    "--country",
    envvar="THEKEYS_COUNTRY",
    type=click.Choice(["FR"], case_sensitive=False),
    help="FR allows 0612345678. Or THEKEYS_COUNTRY.",
)
_CLOUD_URL = click.option(
    "--cloud-url",
    envvar="THEKEYS_CLOUD_URL",
    metavar="URL",
    help="Another cloud than the vendor's. Or THEKEYS_CLOUD_URL.",
)


def gateway_options(function: _F) -> _F:
    """Give a command every flag that says which gateway and locker, and how to ask them."""
    return _HOST(_LOCKER(_CODE(_TIMEOUT(_CONFIG(coordination_options(output_options(function)))))))


def watch_options(function: _F) -> _F:
    """Give `watch` the flags that say which gateways and lockers, and for how long."""
    return _HOSTS(_LOCKER(_CODE(_WATCH_TIMEOUT(_CONFIG(coordination_options(output_options(function)))))))


def check_options(function: _F) -> _F:
    """Give `check` the flags that say which gateway and locker, and for how long."""
    return _HOST(_LOCKER(_CODE(_CHECK_TIMEOUT(_CONFIG(coordination_options(output_options(function)))))))


def coordination_options(function: _F) -> _F:
    """Give a command the flags that say with whom it shares turns and timestamps."""
    return _STATE_DIR(_NO_COORDINATION(function))


def target_argument(kind: str, complete: Callable[..., Any]) -> Callable[[_F], _F]:
    """Let a command take a name of the configuration file.

    Args:
        kind: What is named, as the help writes it: LOCKER or GATEWAY.
        complete: What the shell asks for names that begin as typed.
    """
    return click.argument(
        "target",
        metavar=f"[{kind}]",
        required=False,
        expose_value=False,
        callback=_remember,
        shell_complete=complete,
    )


def cloud_options(function: _F) -> _F:
    """Give a command that asks the vendor's cloud the flags that say whose account, and where."""
    return _USERNAME(_COUNTRY(_CLOUD_URL(_CLOUD_TIMEOUT(_CONFIG(output_options(function))))))


def discover_options(function: _F) -> _F:
    """Give `discover` the flags that say which account, and how gateways are asked."""
    output_and_more = _CONFIG(coordination_options(output_options(function)))
    account = click.option(
        "--username",
        envvar="THEKEYS_USERNAME",
        metavar="PHONE",
        help="The account's phone number: only then is the cloud asked, too. Or THEKEYS_USERNAME. The password comes "
        "from THEKEYS_PASSWORD, else you are asked.",
    )
    host = _shared(
        "--host", "given_hosts", multiple=True, metavar="HOST", help="Ask this address, too. Or THEKEYS_HOST."
    )
    return host(account(_COUNTRY(_CLOUD_URL(_DISCOVER_TIMEOUT(output_and_more)))))


def bridge_options(function: _F) -> _F:
    """Give `bridge` the flags that mean something to it."""
    return _CONFIG(coordination_options(output_options(function)))


def simulate_options(function: _F) -> _F:
    """Give `simulate` the flags that mean something to it; `--host` is where it listens."""
    listen = _shared("--host", "given_hosts", multiple=True, metavar="ADDRESS", help="Where to listen; else 127.0.0.1.")
    return listen(_CODE(output_options(function)))


def output_options(function: _F) -> _F:
    """Give a command that asks no gateway only the flags on what it prints."""
    return _JSON(_DEBUG(function))
