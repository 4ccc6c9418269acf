"""The configuration file, as frozen values."""

import enum
from collections.abc import Mapping
from pathlib import Path

import attrs

from thekeys_async.config.coordinator import choose_coordinator
from thekeys_async.coordination.base import Coordinator
from thekeys_async.protocol.secrets import Secret


def _hidden(text: "str | Secret | None") -> Secret | None:
    return text if isinstance(text, Secret) else Secret.of(text)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


class CommandPolicy(enum.Enum):
    """The messages that the bridge takes for commands."""

    STAMPED = "stamped"
    """Those that carry their time; and a plain ``LOCK``."""
    ANY = "any"
    """A plain ``UNLOCK`` as well, however old it may be."""
    NONE = "none"
    """No message moves a bolt."""


@attrs.frozen
class GatewayConfig:
    """A gateway of the file.

    Attributes:
        host: Its address.
        id: The cloud's text identifier for it, by which `thekeys setup` finds it again.
    """

    host: str
    id: str | None = None


@attrs.frozen
class LockerConfig:
    """A locker of the file.

    Attributes:
        identifier: Its number.
        gateway: The name of the gateway that drives it.
        bridge: Whether `thekeys bridge` publishes and drives it.
        area: The room or flat it belongs to, as a home automation system shows it.
    """

    identifier: int
    gateway: str
    _code: Secret | None = attrs.field(default=None, repr=False, converter=_hidden, alias="code")
    bridge: bool = True
    area: str | None = None

    @property
    def code(self) -> str | None:
        """The share code of the two, if it stands in the file."""
        return _revealed(self._code)


@attrs.frozen(kw_only=True)
class BridgeConfig:
    """The table ``[bridge]``: the defaults where the file says nothing.

    Attributes:
        username: The user at the broker.
        password_file: A file whose text is the password.
        ca_file: Certificates (PEM) that the broker's is checked against, in the place of the system's.
        prefix: The first part of our topics.
        discovery_prefix: The first part of Home Assistant's discovery topics; None for no discovery.
        interval: Seconds from poll to poll of a gateway.
        max_command_age: Seconds after which a command is too old to be carried out.
        max_clock_skew: Seconds that a command's time may lie ahead of our clock.
        commands: The messages that are taken for commands.
        http: ``HOST:PORT`` of the page and the metrics; None for none.
        http_token_file: A file whose text is the token that the page wants; needed beyond loopback.
        standby: Whether the bridge waits until no other one of its prefix leads, and takes over from it.
    """

    _broker: Secret | None = attrs.field(default=None, repr=False, converter=_hidden, alias="broker")
    username: str | None = None
    _password: Secret | None = attrs.field(default=None, repr=False, converter=_hidden, alias="password")
    password_file: Path | None = None
    ca_file: Path | None = None
    prefix: str = "thekeys"
    discovery_prefix: str | None = "homeassistant"
    interval: float = 10.0
    max_command_age: float = 10.0
    max_clock_skew: float = 5.0
    commands: CommandPolicy = CommandPolicy.STAMPED
    http: str | None = "127.0.0.1:9473"
    http_token_file: Path | None = None
    standby: bool = False

    @property
    def broker(self) -> str | None:
        """``mqtt://HOST[:1883]`` or ``mqtts://HOST[:8883]``; it may hold a user and a password."""
        return _revealed(self._broker)

    @property
    def password(self) -> str | None:
        """The user's password."""
        return _revealed(self._password)


@attrs.frozen
class Config:
    """The contents of the configuration file.

    Attributes:
        gateways: By name.
        lockers: By name.
        state_dir: The folder where turns and timestamps are shared, or None for this user's own.
        bridge: The settings of `thekeys bridge`.
    """

    gateways: Mapping[str, GatewayConfig] = attrs.field(factory=dict[str, GatewayConfig])
    lockers: Mapping[str, LockerConfig] = attrs.field(factory=dict[str, LockerConfig])
    state_dir: Path | None = None
    bridge: BridgeConfig = BridgeConfig()

    @property
    def names(self) -> Mapping[int, str]:
        """The lockers' names in the file, by their numbers."""
        return {locker.identifier: name for name, locker in self.lockers.items()}

    def share_codes(self, gateway: str) -> dict[int, str]:
        """Collect the share codes of a gateway, by the numbers of its lockers, for `AsyncGateway`.

        Args:
            gateway: Its name in the file.
        """
        lockers = (locker for locker in self.lockers.values() if locker.gateway == gateway)
        return {locker.identifier: locker.code for locker in lockers if locker.code is not None}

    def coordinator(self) -> Coordinator | None:
        """Make the coordinator of the command `thekeys`, to be entered with ``async with``.

        That is the Redis of THEKEYS_REDIS_URL, else the folder of THEKEYS_STATE_DIR, else `state_dir`, else this user's
        own folder; None on Windows where no folder is named.

        Raises:
            ConfigurationError: The URL of Redis makes no sense, or the user's folder can't be found.
            CoordinationError: The client for Redis is not installed.
        """
        return choose_coordinator(self.state_dir)
