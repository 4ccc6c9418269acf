"""What there is to open: each locker of an account, with the gateways that can reach it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

from thekeys_async.cloud.client import Cloud
from thekeys_async.cloud.models import Gateway, Locker


@attrs.frozen
class Discovered:
    """One locker, and how to reach it.

    Attributes:
        locker: The locker.
        gateways: Its gateways that were seen recently and have told their LAN address; the one seen last comes first.
    """

    locker: Locker
    gateways: tuple[Gateway, ...]


def _now() -> datetime:
    return datetime.now(UTC)


async def discover(
    cloud: Cloud, *, seen_within: timedelta = timedelta(minutes=10), now: Callable[[], datetime] = _now
) -> tuple[Discovered, ...]:
    """Find every locker of the account, with the gateways that reported lately.

    A gateway in order reports every 5 s (the vendor's page).

    Args:
        cloud: The account.
        seen_within: How long ago is lately.
        now: The wall clock, an aware datetime.

    Raises:
        CloudError: The cloud could not be asked.
    """
    lockers = await cloud.lockers()
    known = {gateway.id: gateway for gateway in await cloud.gateways()}
    return tuple(Discovered(locker, _lately(locker, known, now() - seen_within)) for locker in lockers)


def _lately(locker: Locker, known: dict[int, Gateway], since: datetime) -> tuple[Gateway, ...]:
    theirs = {accessory.id: known[accessory.id] for accessory in locker.accessories if accessory.id in known}
    seen = [
        (gateway.last_seen, gateway)
        for gateway in theirs.values()
        if gateway.address and gateway.last_seen and gateway.last_seen >= since
    ]
    return tuple(gateway for _, gateway in sorted(seen, key=lambda pair: pair[0], reverse=True))
