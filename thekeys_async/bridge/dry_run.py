"""`thekeys bridge --check`: the topics that would be published, without connecting to anything."""

import json
from collections.abc import Iterator

from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.plan import BridgePlan
from thekeys_async.bridge.session import VERSION, info
from thekeys_async.bridge.topics import ONLINE


def published(plan: BridgePlan) -> Iterator[tuple[str, str]]:
    """List topics and values, as they stand before anything is known of the doors.

    Args:
        plan: The bridge's settings.
    """
    gateways = [gateway.name for gateway in plan.gateways]
    devices = Devices(plan.topics, plan.lockers, gateways, version=VERSION, read_only=plan.read_only)
    yield plan.topics.state, ONLINE
    yield plan.topics.info, json.dumps(info("(made at each start)", None, gateways), ensure_ascii=False)
    yield from devices.retained.values.items()
