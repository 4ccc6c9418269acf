"""Discovery: each locker of an account, the gateways that can reach it, and a share for each pair."""

import ipaddress
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import attrs

from thekeys_async.cloud.calls import gather_limited
from thekeys_async.cloud.client import Cloud
from thekeys_async.cloud.models import Gateway, Locker, Share

_log = logging.getLogger(__name__)

_LAN = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
# Where clouds of computers answer their own machines, with passwords to whoever asks.
_METADATA = frozenset({ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")})


@attrs.frozen
class Discovered:
    """One locker, and how to reach it.

    Attributes:
        locker: The locker.
        gateways: Its gateways that were seen recently and have told their LAN address; the one seen last comes first.
        skipped: Those that were seen recently at an address that is not one of a LAN.
    """

    locker: Locker
    gateways: tuple[Gateway, ...]
    skipped: tuple[Gateway, ...] = ()


def _now() -> datetime:
    return datetime.now(UTC)


async def discover(
    cloud: Cloud,
    *,
    seen_within: timedelta = timedelta(minutes=10),
    allow_public: bool = False,
    now: Callable[[], datetime] = _now,
) -> tuple[Discovered, ...]:
    """Find every locker of the account, with the gateways that reported lately.

    A gateway in order reports every 5 s (the vendor's page). Signed requests go to the address that the cloud tells:
    so it has to be one of a private network, link-local, or of the loopback, and without a port; a gateway elsewhere
    is skipped, with a warning. A cloud on this machine's own loopback, a simulated one, may tell a port there, too.

    Args:
        cloud: The account.
        seen_within: The time within which a gateway must have reported.
        allow_public: Whether to take any address that the cloud tells, names and ports too.
        now: The wall clock, an aware datetime.

    Raises:
        CloudError: The cloud could not be asked.
    """
    lockers = await cloud.lockers()
    known = {gateway.id: gateway for gateway in await cloud.gateways()}
    since = now() - seen_within
    skipped = set[int]()
    if not allow_public:
        skipped = {gateway.id for gateway in known.values() if not _is_on_lan(gateway, on_loopback=cloud.on_loopback)}
        for number in skipped:
            _warn_of_address(known[number])
    found: list[Discovered] = []
    for locker in lockers:
        seen = _lately(locker, known, since)
        found.append(
            Discovered(
                locker,
                gateways=tuple(gateway for gateway in seen if gateway.id not in skipped),
                skipped=tuple(gateway for gateway in seen if gateway.id in skipped),
            )
        )
    return tuple(found)


def _lately(locker: Locker, known: dict[int, Gateway], since: datetime) -> tuple[Gateway, ...]:
    theirs = {accessory.id: known[accessory.id] for accessory in locker.accessories if accessory.id in known}
    seen = [
        (gateway.last_seen, gateway)
        for gateway in theirs.values()
        if gateway.address and gateway.last_seen and gateway.last_seen >= since
    ]
    return tuple(gateway for _, gateway in sorted(seen, key=lambda pair: pair[0], reverse=True))


def _is_on_lan(gateway: Gateway, *, on_loopback: bool) -> bool:
    """Tell whether a gateway's address is one of a LAN; a gateway without an address passes."""
    address = gateway.address or ""
    return not address or is_lan_address(address) or (on_loopback and _is_port_of_loopback(address))


def is_lan_address(address: str) -> bool:
    """Tell whether an address is an IP address of a private network, link-local, or the loopback, without a port."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    # `ip in network` is False for an IPv6 address with a zone, on some versions: compare without it.
    ip = ipaddress.ip_address(str(ip).partition("%")[0])
    return ip not in _METADATA and (ip.is_loopback or any(ip in network for network in _LAN))


def _is_port_of_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _warn_of_address(gateway: Gateway) -> None:
    _log.warning(
        "gateway %r is skipped: the cloud says that it is at %s, which is no plain address of a private network; "
        "allow_public takes it all the same",
        gateway.name or gateway.identifier,
        gateway.address,
    )


@attrs.frozen
class Wired:
    """A locker, a gateway that reaches it, and the share between the two.

    Attributes:
        locker: The locker.
        gateway: The gateway.
        share: The share. Somebody may have switched it off, or it has run out: `Share.usable` tells.
    """

    locker: Locker
    gateway: Gateway
    share: Share


async def ensure_shares(cloud: Cloud, found: Iterable[Discovered], *, share_name: str) -> tuple[Wired, ...]:
    """Find or create the share of that name between each locker and each of its gateways. Safe to repeat.

    Args:
        cloud: The account.
        found: The result of `discover`, or a part of it.
        share_name: The name of the shares.

    Raises:
        CloudError: One could not be found or created; repeating this finds those that were.
        ValueError: No name.
    """

    async def ensure(pair: tuple[Locker, Gateway]) -> Wired:
        return Wired(*pair, await cloud.ensure_share(*pair, name=share_name))

    pairs = ((each.locker, gateway) for each in found for gateway in each.gateways)
    return tuple(await gather_limited(ensure, pairs))
