"""Two event loops of one process at one gateway: timestamps come there in the order in which they were taken."""

import threading

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from tests.sample import CODE
from thekeys_async import AsyncGateway, GatewayEvent, Pacing, RequestSent
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio


def _open_in_another_event_loop(gateway: AsyncGateway) -> None:
    async def use() -> None:
        async with gateway:
            await gateway.locker(1).open()

    thread = threading.Thread(target=anyio.run, args=(use,))
    thread.start()
    thread.join()


async def test_a_timestamp_that_another_event_loop_has_overtaken_is_not_sent() -> None:
    options = {"share_codes": {1: CODE}, "pacing": Pacing(0, 0)}
    simulated = SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0)
    told: list[GatewayEvent] = []
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(simulated) as sim:

        def observe(event: GatewayEvent) -> None:
            if isinstance(event, RequestSent) and not told:
                told.append(event)
                _open_in_another_event_loop(AsyncGateway(sim.address, **options))

        async with AsyncGateway(sim.address, observer=observe, **options) as gateway:
            result = await gateway.locker(1).open()
        stamps = [request.timestamp for request in sim.requests]
    assert result.attempts == 1
    assert stamps == sorted(set(stamps))
    assert len(stamps) == 2


async def test_a_refusal_of_an_overtaken_timestamp_says_nothing_of_the_lead() -> None:
    """Through httpx a timestamp is taken before the connection is opened, so it may come too late."""
    last, refused = 0, 0
    others = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal last, refused
        timestamp = int(httpx.QueryParams(request.content.decode())["ts"])
        if timestamp <= last:
            refused += 1
            return httpx.Response(200, json={"status": "ko", "code": 33})
        last = timestamp
        return httpx.Response(200, json={"status": "ok", "code": 0})

    async def overtaken(request: httpx.Request) -> httpx.Response:
        nonlocal others
        if others < 3:
            others += 1
            _open_in_another_event_loop(AsyncGateway("gateway.test", transport=httpx.MockTransport(answer), **options))
        return answer(request)

    options = {"share_codes": {1: CODE}, "pacing": Pacing(0, 0)}
    async with AsyncGateway("gateway.test", transport=httpx.MockTransport(overtaken), **options) as gateway:
        result = await gateway.locker(1).open()
    assert (result.attempts, refused) == (4, 3)
