"""The flags and arguments of every command. A flag of many may stand before the action; one after it wins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from thekeys_async.cli.names import complete_gateway, complete_locker
from thekeys_async.cli.settings import (
    DEFAULT_HOST,
    META,
    locker_number,
    moment,
    network,
    pin,
    seconds,
    share_number,
    simulated_locker,
)

_F = TypeVar("_F", bound=Callable[..., Any])
_DELAY = click.FloatRange(0, 3600)
_FILE = click.Path(dir_okay=False, path_type=Path)
_PORT = click.IntRange(0, 65535)
_WHEN = "A day, '2026-08-01 16:00', or 16:00 for every day."


def together(*declared: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """Declare flags and arguments at once, in the order in which the help lists them."""

    def declare(function: _F) -> _F:
        for each in reversed(declared):
            function = each(function)
        return function

    return declare


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None and value is not False and value != ():
        context.meta[f"{META}{parameter.name}"] = value


def _shared(*names: str, **declared: Any) -> Callable[[_F], _F]:
    """Declare a flag that `CommandSettings` collects."""
    return click.option(*names, expose_value=False, callback=_remember, **declared)


def _host(help: str, metavar: str = "HOST") -> Callable[[_F], _F]:  # noqa: A002 - as click calls it
    return _shared("--host", "given_hosts", multiple=True, metavar=metavar, help=help)


def _timeout(help: str) -> Callable[[_F], _F]:  # noqa: A002 - as click calls it
    return _shared("--timeout", type=seconds, metavar="SECONDS", help=help)


def _target(kind: str, complete: Callable[..., Any]) -> Callable[[_F], _F]:
    return click.argument(
        "target", metavar=kind, required=False, expose_value=False, callback=_remember, shell_complete=complete
    )


_HOST = _host(f"The gateway: a name or address, with :port if it is not 80. Or THEKEYS_HOST; else {DEFAULT_HOST}.")
_LOCKER = _shared(
    "-i", "--identifier", type=locker_number, metavar="IDENTIFIER", help="The locker's number, as printed on it."
)
_CODE = _shared(
    "-c",
    "--code",
    metavar="CODE",
    help="The share code of locker and gateway. Better in THEKEYS_CODE: others can read a process's arguments.",
)
_CONFIG = _shared(
    "--config", metavar="FILE", help="The file with names for gateways and lockers. Or THEKEYS_CONFIG; see the docs."
)
_COORDINATION = together(
    _shared(
        "--state-dir",
        metavar="FOLDER",
        help="Where processes that drive the same gateways share turns and timestamps. Or THEKEYS_STATE_DIR, or a "
        "Redis in THEKEYS_REDIS_URL; else a folder of yours.",
    ),
    _shared("--no-coordination", is_flag=True, help="Share turns and timestamps with no other process."),
)
OUTPUT = together(
    _shared("--json", is_flag=True, is_eager=True, help="Print JSON on stdout; errors are JSON too, on stderr."),
    _shared("-d", "--debug", is_flag=True, is_eager=True, help="Log on stderr, and show tracebacks."),
)
GATEWAY = together(
    _HOST,
    _LOCKER,
    _CODE,
    _timeout("Time for the whole action, with waiting its turn. Default 30; 300 to synchronise or update."),
    _CONFIG,
    _COORDINATION,
    OUTPUT,
)
"""Which gateway and locker, and how to ask them."""

TARGET_LOCKER = _target("[LOCKER]", complete_locker)
"""A locker's name in the configuration file, or its number."""
TARGET_GATEWAY = _target("[GATEWAY]", complete_gateway)
"""A gateway's name in the configuration file."""

ALL = click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="Ask all gateways of the configuration file; the default where it has several and none is named.",
)
WAIT = click.option(
    "--wait", is_flag=True, help="Stay until the bolt is there, about 5 s more; ends with 10 if it is not."
)
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")

_COUNTRY = _shared(
    "--country",
    envvar="THEKEYS_COUNTRY",
    type=click.Choice(["FR"], case_sensitive=False),
    help="FR allows 0612345678. Or THEKEYS_COUNTRY.",
)
_CLOUD_URL = _shared(
    "--cloud-url",
    envvar="THEKEYS_CLOUD_URL",
    metavar="URL",
    help="Another cloud than the vendor's. Or THEKEYS_CLOUD_URL.",
)


def _username(help: str) -> Callable[[_F], _F]:  # noqa: A002 - as click calls it
    return _shared("--username", envvar="THEKEYS_USERNAME", metavar="PHONE", help=help)


CLOUD = together(
    _username(
        "The account's phone number: +33612345678. Or THEKEYS_USERNAME; else you are asked. The password comes from "
        "THEKEYS_PASSWORD, else you are asked."
    ),
    _COUNTRY,
    _CLOUD_URL,
    _timeout("Time for each question to the cloud, with log-in and retries. Default 30."),
    _CONFIG,
    OUTPUT,
)
"""Whose account at the vendor's cloud, and where that is."""

SETUP = together(
    CLOUD,
    _COORDINATION,
    click.option("--share-name", default="thekeys", show_default=True, help="What the shares are called in the cloud."),
    click.option("--synchronize", is_flag=True, help="Synchronise gateways and lockers too; may install firmware."),
    click.option(
        "--allow-public",
        is_flag=True,
        help="Take a gateway wherever the cloud says it is, not only on a private network.",
    ),
)
REBOOT = together(CLOUD, click.argument("gateway", shell_complete=complete_gateway), YES)

_SHARE_NAME = click.option("--name", required=True, help="What the share is called.")
_DESCRIPTION = click.option("--description", default="", help="Free text.")
_LOCKER_TO_SHARE = click.argument("locker", shell_complete=complete_locker)
SHARE_NUMBER = together(CLOUD, click.argument("number", type=share_number))
LIST_SHARES = together(
    CLOUD,
    click.argument("locker", required=False, shell_complete=complete_locker),
    click.option("--show-codes", is_flag=True, help="Show the codes, too: whoever has one can open the door."),
)
CREATE_SHARE = together(
    CLOUD,
    _LOCKER_TO_SHARE,
    _SHARE_NAME,
    click.option(
        "--with", "accessory", metavar="ACCESSORY", help="The keypad, gateway or other; needed if there are several."
    ),
    click.option("--from", "starts", type=moment, metavar="WHEN", help=f"From when it opens. {_WHEN}"),
    click.option("--until", "ends", type=moment, metavar="WHEN", help="Until when; a day counts to its end."),
    click.option(
        "--pin", envvar="THEKEYS_PIN", type=pin, metavar="PIN", help="What a guest types. Better in THEKEYS_PIN."
    ),
    _DESCRIPTION,
    click.option("--show-codes", is_flag=True, help="Show the code, too: whoever has it can open the door."),
)
INVITE = together(CLOUD, _LOCKER_TO_SHARE, click.argument("phone"), _SHARE_NAME, _DESCRIPTION)
SWITCH_SHARE = together(
    SHARE_NUMBER,
    click.option("--person", is_flag=True, help="It is a share with a person, if another has the same number."),
)

DISCOVER = together(
    _host("Ask this address, too. Or THEKEYS_HOST."),
    _username(
        "The account's phone number: only then is the cloud asked, too. Or THEKEYS_USERNAME. The password comes from "
        "THEKEYS_PASSWORD, else you are asked."
    ),
    _COUNTRY,
    _CLOUD_URL,
    _timeout(
        "Time for each request to a gateway that is known, and for each question to the cloud. Default 5, and 30."
    ),
    _CONFIG,
    _COORDINATION,
    OUTPUT,
    click.option(
        "--network",
        "networks",
        type=network,
        multiple=True,
        metavar="NETWORK",
        help="Ask all addresses of a network of yours, for example 192.168.0.0/24. May be given several times.",
    ),
    click.option(
        "--port", type=click.IntRange(1, 65535), default=80, show_default=True, help="The port that --network asks."
    ),
    click.option("--save", is_flag=True, help="Write what was found into the configuration file."),
)
CHECK = together(
    TARGET_GATEWAY,
    _HOST,
    _LOCKER,
    _CODE,
    _timeout("End the reads sooner than after 60 s, which is the default."),
    _CONFIG,
    _COORDINATION,
    OUTPUT,
    click.option(
        "--open-and-close",
        "door",
        metavar="DOOR",
        shell_complete=complete_locker,
        help="Also open this door and close it again, after a question, and say how long that takes.",
    ),
    click.option("-y", "--yes", is_flag=True, help="With --open-and-close: do not ask."),
    click.option(
        "--save", type=_FILE, metavar="FILE", help="Record what the gateway does, without what tells whose it is."
    ),
    click.option(
        "--anonymous",
        is_flag=True,
        help="Print JSON that can be sent to anyone: no addresses, names or numbers of lockers.",
    ),
)

_GATEWAYS = click.argument("gateways", nargs=-1, metavar="[GATEWAY]...", shell_complete=complete_gateway)
WATCH = together(
    _host("A gateway; may be given several times. Or THEKEYS_HOST; else those of the configuration file."),
    _LOCKER,
    _CODE,
    _timeout("End by itself after so long. Default: never."),
    _CONFIG,
    _COORDINATION,
    OUTPUT,
    _GATEWAYS,
    click.option(
        "--interval",
        type=seconds,
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="From poll to poll of a gateway.",
    ),
    click.option("--every-poll", is_flag=True, help="With --json: a line for each poll, also if nothing has changed."),
    click.option(
        "--save-wire",
        type=_FILE,
        metavar="FILE",
        help="Record what the gateways do, without what tells whose they are.",
    ),
)
PLOT = together(
    OUTPUT,
    click.argument("file", type=click.File(encoding="utf-8", errors="replace")),
    click.argument("picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="OUT"),
)
BRIDGE = together(
    _CONFIG,
    _COORDINATION,
    OUTPUT,
    _GATEWAYS,
    click.option("--broker", metavar="URL", help="mqtt://HOST[:1883] or mqtts://HOST[:8883], without a password."),
    click.option("--prefix", metavar="TOPIC", help="What topics begin with; else thekeys."),
    click.option("--interval", type=seconds, metavar="SECONDS", help="From poll to poll of a gateway; else 10."),
    click.option("--standby", is_flag=True, help="Wait until no other bridge leads, and take over when it ends."),
    click.option("--check", is_flag=True, help="Only print what would be published, and connect nowhere."),
    click.option("--purge", is_flag=True, help="Only empty every retained topic of this bridge."),
)
SIMULATE = together(
    _host("Where to listen; else 127.0.0.1.", "ADDRESS"),
    _CODE,
    OUTPUT,
    click.option(
        "--locker",
        "lockers",
        type=simulated_locker,
        multiple=True,
        metavar="IDENTIFIER[:CODE]",
        help="A locker and its share code, else that of -c or THEKEYS_CODE. May be given several times; with --cloud "
        "there is one without it, and the cloud makes the codes.",
    ),
    click.option(
        "--replay",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A recording: the gateway has the habits of the one that was recorded, and its lockers.",
    ),
    click.option(
        "--cloud", is_flag=True, help="A simulated cloud, too, linked with the gateway; its account is printed."
    ),
    click.option("--cloud-port", type=_PORT, default=0, help="Where the cloud listens; else a free one."),
    click.option("--port", type=_PORT, default=8080, show_default=True, help="0 takes a free one."),
    click.option("--light", type=_DELAY, default=0.13, show_default=True, help="Seconds for a light request."),
    click.option("--bluetooth", type=_DELAY, default=3.0, show_default=True, help="Seconds for one to a locker."),
    click.option(
        "--bolt", type=_DELAY, default=5.0, show_default=True, help="Seconds until a bolt has moved, after that."
    ),
    click.option(
        "--style",
        type=click.Choice(["field", "terse", "page", "busy-500"]),
        default="field",
        show_default=True,
        help="Replies as seen in the field, with empty bodies, as on the vendor's page, or busy with HTTP status 500.",
    ),
)
DEMO = together(
    click.option("--from-cloud", is_flag=True, help="Show the way from an account to an open door."),
    click.option("--bridge", is_flag=True, help="Show a door in MQTT; needs a mosquitto and extra 'bridge'."),
    OUTPUT,
)
