"""Pytest fixtures for programs that use a gateway; pytest finds them once thekeys-async is installed.

The gateway runs on a thread of its own, so the fixtures serve asyncio, trio and plain synchronous tests.
"""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from thekeys_async.simulator import GatewayHandle, SimulatedHome, SimulatedLocker

IDENTIFIER = 45961123
SHARE_CODE = "Zmo1sps2OVyCFtl1"  # the sample on the vendor's page

_FAST = {"light": 0.0, "bluetooth": 0.0, "synchronization": 0.0, "restart": 0.1}


class SimulatedGatewayFactory(Protocol):
    """Makes simulated gateways that end with the test."""

    def __call__(self, lockers: "Iterable[SimulatedLocker] | None" = None, **settings: Any) -> "GatewayHandle":
        """Start a gateway.

        Args:
            lockers: Its lockers; None for one closed locker, 45961123, with the share code `Zmo1sps2OVyCFtl1`.
            settings: Keyword arguments of `SimulatedGateway`. What is not given is fast: no delays.
        """
        ...


@pytest.fixture
def simulated_gateway_factory() -> "Iterator[SimulatedGatewayFactory]":
    """Make as many simulated gateways as the test wants, with lockers and delays of its choice."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - cheap for those who never ask for it

    from thekeys_async.simulator import GatewayHandle, SimulatedGateway, SimulatedLocker  # noqa: PLC0415 - the same

    with start_blocking_portal() as portal, ExitStack() as stack:

        def start(lockers: "Iterable[SimulatedLocker] | None" = None, **settings: Any) -> "GatewayHandle":
            if lockers is None:
                lockers = [SimulatedLocker(IDENTIFIER, share_code=SHARE_CODE)]
            arguments: dict[str, Any] = _FAST | settings
            gateway = SimulatedGateway(lockers, **arguments)
            stack.enter_context(portal.wrap_async_context_manager(gateway))
            return GatewayHandle(gateway, portal)

        yield start


@pytest.fixture
def simulated_gateway(simulated_gateway_factory: SimulatedGatewayFactory) -> "GatewayHandle":
    """Start a gateway that answers without delay and sees one closed locker.

    The locker is 45961123, its share code `Zmo1sps2OVyCFtl1`; more are added with `appear()`.
    """
    return simulated_gateway_factory()


@pytest.fixture
def simulated_home() -> "Iterator[SimulatedHome]":
    """Start a cloud with an account, and a gateway linked with it that sees one closed locker, 45961123.

    Nothing is shared yet. Both answer without delay; `cloud` and `gateway` of what it yields are the two.
    """
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - cheap for those who never ask for it

    from thekeys_async.simulator import (  # noqa: PLC0415 - the same
        CloudHandle,
        GatewayHandle,
        SimulatedCloud,
        SimulatedGateway,
        SimulatedHome,
        SimulatedLocker,
    )

    fast: dict[str, Any] = _FAST
    gateway = SimulatedGateway([SimulatedLocker(IDENTIFIER)], **fast)
    cloud = SimulatedCloud([gateway])
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(gateway),
        portal.wrap_async_context_manager(cloud),
    ):
        yield SimulatedHome(CloudHandle(cloud, portal), GatewayHandle(gateway, portal))
