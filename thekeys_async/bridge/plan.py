"""The settings of one bridge: from the configuration, the environment and the command line."""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from thekeys_async.bridge.broker_address import BrokerAddress
from thekeys_async.bridge.discovery import BridgedLocker
from thekeys_async.bridge.topics import Topics
from thekeys_async.bridge.verdicts import Rules
from thekeys_async.bridge.web_address import WebAddress
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.values import Config
from thekeys_async.protocol.secrets import Secret

BROKER_URL: Final = "THEKEYS_MQTT_URL"
PASSWORD: Final = "THEKEYS_MQTT_PASSWORD"  # noqa: S105 - the name of a variable

_LONGEST_SECRET: Final = 4096


@attrs.frozen
class GatewayPlan:
    """A gateway that is followed.

    Attributes:
        name: The name in the configuration.
        host: Its address.
    """

    name: str
    host: str


@attrs.frozen(kw_only=True)
class BridgePlan:
    """The settings of one bridge. Made by `make_plan`.

    Attributes:
        broker: The broker's address.
        topics: The topics.
        rules: The rules.
        gateways: The gateways that it follows.
        lockers: The lockers that it publishes.
        interval: Seconds from poll to poll of a gateway.
        web: The address of the page and the metrics; None for none.
        standby: Whether it waits until no other bridge leads.
    """

    broker: BrokerAddress
    topics: Topics
    rules: Rules
    gateways: tuple[GatewayPlan, ...]
    lockers: tuple[BridgedLocker, ...]
    interval: float
    web: WebAddress | None
    standby: bool = False

    @property
    def read_only(self) -> bool:
        """Whether nothing is driven."""
        return self.rules.commands == "none"


def make_plan(
    config: Config,
    environment: Mapping[str, str],
    *,
    gateways: Sequence[str] = (),
    broker: str | None = None,
    prefix: str | None = None,
    interval: float | None = None,
    standby: bool = False,
) -> BridgePlan:
    """Put a bridge's settings together: arguments go before the environment, and that before the file.

    Args:
        config: The configuration file.
        environment: THEKEYS_MQTT_URL and THEKEYS_MQTT_PASSWORD are read from it.
        gateways: Names of gateways; all of the file if none is given.
        broker: Its URL, without a password, as everybody on this machine can read a command line.
        prefix: The first part of all topics.
        interval: Seconds from poll to poll.
        standby: Whether it waits until no other bridge leads.

    Raises:
        ConfigurationError: Something is missing, or makes no sense.
    """
    table = config.bridge
    names = tuple(gateways) or tuple(config.gateways)
    if not names:
        raise ConfigurationError("the file names no gateway. Run 'thekeys setup'")
    return BridgePlan(
        broker=_broker(config, environment, broker),
        topics=_topics(table.prefix if prefix is None else prefix, table.discovery_prefix),
        rules=Rules(commands=table.commands.value, max_age=table.max_command_age, max_skew=table.max_clock_skew),
        gateways=tuple(GatewayPlan(name, config.gateways[name].host) for name in names),
        lockers=_lockers(config, names),
        interval=table.interval if interval is None else interval,
        web=_web(table.http, table.http_token_file),
        standby=standby or table.standby,
    )


def _lockers(config: Config, gateways: Sequence[str]) -> tuple[BridgedLocker, ...]:
    lockers: dict[int, BridgedLocker] = {}
    for name, locker in config.lockers.items():
        if locker.bridge and locker.gateway in gateways:
            if locker.identifier in lockers:
                raise ConfigurationError(
                    f"the file names locker {locker.identifier} twice; give one of them bridge = false"
                )
            lockers[locker.identifier] = BridgedLocker(
                locker.identifier, name, locker.gateway, locker.area, has_code=locker.code is not None
            )
    return tuple(lockers.values())


def _topics(prefix: str, discovery_prefix: str | None) -> Topics:
    try:
        return Topics(prefix, discovery_prefix)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _broker(config: Config, environment: Mapping[str, str], given: str | None) -> BrokerAddress:
    table = config.bridge
    try:
        if given is not None:
            address = BrokerAddress.parse(given)
            if address.password is not None:
                raise ConfigurationError(
                    "a password on the command line is seen by every user of this machine; give it in "
                    f"{PASSWORD} or in a password_file"
                )
        else:
            address = BrokerAddress.parse(environment.get(BROKER_URL) or table.broker or "mqtt://localhost")
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    password = Secret.of(environment.get(PASSWORD)) or Secret.of(table.password)
    if password is None and table.password_file is not None:
        password = read_secret(table.password_file)
    return attrs.evolve(
        address,
        username=address.username or table.username,
        password=password or address.password,
        ca_file=_certificates(table.ca_file),
    )


def _certificates(path: Path | None) -> Path | None:
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError:
            raise ConfigurationError(f"{path} holds no certificates (PEM)") from None
        except OSError as error:
            raise ConfigurationError(f"{path} can't be read ({error.strerror})") from None
    return path


def _web(where: str | None, token_file: Path | None) -> WebAddress | None:
    if where is None:
        return None
    address = WebAddress.parse(where)
    if not address.is_loopback and token_file is None:
        raise ConfigurationError(f"http = {where!r} is open to others, so it needs an http_token_file")
    return address if token_file is None else attrs.evolve(address, token=read_secret(token_file))


def read_secret(path: Path) -> Secret:
    """Read a password or a token from a file; a line end after it does not count.

    Raises:
        ConfigurationError: It can't be read, or it is empty; the text is not repeated.
    """
    problem = None
    try:
        with path.open("rb") as file:
            secret = Secret.of(file.read(_LONGEST_SECRET).decode().rstrip("\r\n"))
            if secret is not None:
                return secret
        problem = "it is empty"
    except OSError as error:
        problem = error.strerror
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    raise ConfigurationError(f"{path} can't be used: {problem}")
