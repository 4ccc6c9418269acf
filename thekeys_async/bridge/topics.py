"""The names of topics, and the meaning of a topic that a message came on. Pure."""

import re
from collections.abc import Container, Iterable
from typing import Final, Literal

import attrs

ONLINE: Final = "online"
OFFLINE: Final = "offline"

_LOCK_STATES: Final = ("availability", "state", "attributes")
_GATEWAY_STATES: Final = ("state", "attributes")
_RESULT: Final = "result"
_LONGEST_NUMBER: Final = 18
# Beside what separates levels: what brokers take for a broken packet, which are control and "non" characters.
_NO_CHARACTERS: Final = "".join(f"\\U{plane:04X}FFFE\\U{plane:04X}FFFF" for plane in range(17))
_FORBIDDEN: Final = re.compile(rf"[/+#%\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NO_CHARACTERS}]")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9-]")

Channel = Literal["set", "press"]


def check_prefix(prefix: str) -> str:
    """Check the first part of all topics: one or more levels, none of them empty, and no wildcards.

    Raises:
        ValueError: It is no such thing.
    """
    levels = prefix.split("/")
    if prefix.startswith("$") or not all(levels) or any(_FORBIDDEN.search(level) for level in levels):
        raise ValueError("a prefix is plain text such as thekeys or home/thekeys, without +, # and empty levels")
    return prefix


def escaped(name: str) -> str:
    """Write a gateway's name as one level of a topic: ``/``, ``+``, ``#``, ``%`` and control characters as ``%2F``."""
    return _FORBIDDEN.sub(_percent, name)


def slug(name: str) -> str:
    """Write a gateway's name in letters, digits, ``-`` and ``_``, as discovery wants it; two names stay two."""
    return _NOT_PLAIN.sub(lambda found: f"_{ord(found[0]):x}_", name)


def _percent(found: "re.Match[str]") -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


@attrs.frozen
class Target:
    """The target of a command, as its topic names it; it may not exist.

    Attributes:
        kind: A locker's number or a gateway's escaped name is what ``name`` is.
        name: As it stands in the topic.
        channel: The last level of the topic: ``set`` or ``press``.
    """

    kind: Literal["lock", "gateway"]
    name: str
    channel: Channel

    @property
    def identifier(self) -> int | None:
        """The locker's number; None if the topic has none, or writes it in another way than the bridge does."""
        if self.kind != "lock" or not re.fullmatch(r"0|[1-9][0-9]{0,17}", self.name, re.ASCII):
            return None
        return int(self.name)


@attrs.frozen
class Topics:
    """All topics of one bridge.

    Attributes:
        prefix: Their first part.
        discovery_prefix: The first part of Home Assistant's discovery topics; None for none.
    """

    prefix: str = attrs.field(default="thekeys", validator=lambda _, __, value: check_prefix(value) and None)
    discovery_prefix: str | None = attrs.field(
        default="homeassistant", validator=lambda _, __, value: value and check_prefix(value) and None
    )

    @property
    def state(self) -> str:
        """The topic that tells whether the bridge is there, and takes commands."""
        return f"{self.prefix}/bridge/state"

    @property
    def info(self) -> str:
        """The topic on which the bridge describes itself; its claim to the prefix."""
        return f"{self.prefix}/bridge/info"

    @property
    def echo(self) -> str:
        """The topic of the heartbeat."""
        return f"{self.prefix}/bridge/echo"

    @property
    def birth(self) -> str | None:
        """The topic on which Home Assistant says that it has started."""
        return None if self.discovery_prefix is None else f"{self.discovery_prefix}/status"

    def gateway(self, name: str, what: str) -> str:
        """Name a topic of a gateway: ``state``, ``attributes``, ``result`` or ``press``."""
        return f"{self.prefix}/gateway/{escaped(name)}/{what}"

    def lock(self, identifier: int, what: str) -> str:
        """Name a topic of a locker: ``state``, ``availability``, ``set`` and so on."""
        return f"{self.prefix}/lock/{identifier}/{what}"

    def lock_config(self, identifier: int) -> str | None:
        """Name the discovery topic of a locker."""
        return self._config(f"thekeys_{identifier}")

    def gateway_config(self, name: str) -> str | None:
        """Name the discovery topic of a gateway."""
        return self._config(f"thekeys_gateway_{slug(name)}")

    def commands(self) -> tuple[str, ...]:
        """List the filters on which commands come."""
        return (f"{self.prefix}/lock/+/set", f"{self.prefix}/lock/+/press", f"{self.prefix}/gateway/+/press")

    def states(self) -> tuple[str, ...]:
        """List the filters of the states that a bridge of this prefix publishes, and nobody else may."""
        return (
            *(f"{self.prefix}/lock/+/{what}" for what in _LOCK_STATES),
            *(f"{self.prefix}/gateway/+/{what}" for what in _GATEWAY_STATES),
        )

    def only_left_behind(self) -> tuple[str, ...]:
        """List the filters of what else a bridge of this prefix publishes of devices, and the broker keeps."""
        results = (f"{self.prefix}/lock/+/{_RESULT}", f"{self.prefix}/gateway/+/{_RESULT}")
        return results if self.discovery_prefix is None else (*results, f"{self.discovery_prefix}/device/+/config")

    def target(self, topic: str) -> Target | None:
        """Tell what a command is for; None if the topic is not one on which commands come."""
        if not topic.startswith(f"{self.prefix}/"):
            return None
        match topic[len(self.prefix) + 1 :].split("/"):
            case ["lock", name, "set"]:
                return Target("lock", name, "set")
            case ["lock", name, "press"]:
                return Target("lock", name, "press")
            case ["gateway", name, "press"]:
                return Target("gateway", name, "press")
            case _:
                return None

    def is_config(self, topic: str) -> bool:
        """Tell whether a topic is a discovery topic."""
        if self.discovery_prefix is None:
            return False
        levels = topic.removeprefix(f"{self.discovery_prefix}/").split("/")
        return len(levels) == 3 and levels[0] == "device" and levels[2] == "config"  # noqa: PLR2004

    def of(self, target: Target) -> str:
        """Name the topic on which commands for a target come."""
        return f"{self.prefix}/{target.kind}/{target.name}/{target.channel}"

    def rank(self, topic: str) -> int:
        """Rank a topic for when all are published: the claim first, discovery last.

        So of two bridges the older one has read the other's claim before it reads its state, and repairs nothing.
        """
        return -1 if topic == self.info else int(self.is_config(topic))

    def is_own_state(self, topic: str) -> bool:
        """Tell whether a topic is one on which only a bridge of this prefix publishes."""
        if not topic.startswith(f"{self.prefix}/"):
            return False
        match topic[len(self.prefix) + 1 :].split("/"):
            case ["lock", name, what]:
                return (
                    what in {*_LOCK_STATES, _RESULT}
                    and name.isascii()
                    and name.isdecimal()
                    and len(name) <= _LONGEST_NUMBER
                )
            case ["gateway", _, what]:
                return what in {*_GATEWAY_STATES, _RESULT}
            case _:
                return False

    def is_of(self, topic: str, lockers: Container[int], gateways: Iterable[str]) -> bool:
        """Tell whether a topic is one of these lockers' or gateways'."""
        match topic.removeprefix(f"{self.prefix}/").split("/"):
            case ["lock", number, _] if number.isascii() and number.isdecimal():
                return int(number) in lockers
            case ["gateway", name, _]:
                return name in {escaped(each) for each in gateways}
            case _:
                return False

    def _config(self, device: str) -> str | None:
        return None if self.discovery_prefix is None else f"{self.discovery_prefix}/device/{device}/config"
