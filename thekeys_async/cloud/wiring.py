"""From what there is to what can be opened: a share for each locker with each gateway that reaches it."""

from collections.abc import Iterable

import attrs

from thekeys_async.cloud.client import Cloud
from thekeys_async.cloud.discovery import Discovered
from thekeys_async.cloud.models import Gateway, Locker, Share
from thekeys_async.cloud.together import for_each


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
        found: What `discover` has found, or a part of it.
        share_name: What the shares are called.

    Raises:
        CloudError: One could not be found or created; repeating this finds those that were.
        ValueError: No name.
    """

    async def ensure(pair: tuple[Locker, Gateway]) -> Wired:
        return Wired(*pair, await cloud.ensure_share(*pair, name=share_name))

    pairs = ((each.locker, gateway) for each in found for gateway in each.gateways)
    return tuple(await for_each(ensure, pairs))
