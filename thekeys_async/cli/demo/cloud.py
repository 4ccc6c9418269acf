"""`thekeys demo --from-cloud`: from an account to an open door, and to a share that opens no more.

Cloud and gateway are simulated, in this process. Everything shown is what they answered.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from thekeys_async import AsyncGateway, AsyncLocker, DoorState, LockerUpdate, NotSharedError, Pacing, Timestamps
from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.runner import run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cloud import Cloud, Share, discover, ensure_shares
from thekeys_async.simulator import SimulatedCloud, SimulatedGateway, SimulatedLocker

_LOCKER = 45961123
_LIGHT, _BLUETOOTH, _BOLT = 0.02, 0.2, 0.4
_POLL = 0.2
_LONGEST = 15.0

Tell = Callable[[str, str], None]
"""Shows a step of the way, and what came of it."""


def run_demo_from_cloud(settings: CommandSettings) -> None:
    """Show the way from an account to an open door, step by step."""
    show_steps(settings, "A simulated cloud with one account, and a simulated gateway that sees one locker.", _simulate)


def show_steps(settings: CommandSettings, introduction: str, go: Callable[[Tell], Awaitable[None]]) -> None:
    """Show each step of a demonstration when it is done; as JSON, all of them at the end.

    Args:
        settings: The flags.
        introduction: The sentence before the first step.
        go: Carries the steps out, and tells each.
    """
    steps: list[tuple[str, str]] = []

    def tell(step: str, outcome: str) -> None:
        steps.append((step, outcome))
        if not settings.json:
            output.print_rich(f"{len(steps)}. {step}: {outcome}")

    if not settings.json:
        output.print_rich(introduction)
    run(settings, Effect.NONE, partial(go, tell))
    if settings.json:
        output.print_json({"steps": [{"step": step, "outcome": outcome} for step, outcome in steps]})


async def _simulate(tell: Tell) -> None:
    gateway = SimulatedGateway(
        [SimulatedLocker(_LOCKER)], light=_LIGHT, bluetooth=_BLUETOOTH, synchronization=_BLUETOOTH, bolt_delay=_BOLT
    )
    async with (
        gateway,
        SimulatedCloud([gateway]) as server,
        Cloud(server.username, server.password, base_url=server.url) as cloud,
    ):
        with anyio.fail_after(_LONGEST):
            await _go(cloud, tell)


async def _go(cloud: Cloud, tell: Tell) -> None:
    account = await cloud.account()
    tell("Log in", f"account {account.username} has {len(account.lockers)} locker")
    wired = (await ensure_shares(cloud, await discover(cloud), share_name="demo"))[0]
    address, share = wired.gateway.address or "", wired.share
    tell("Share", f"share {share.id} between locker {wired.locker.identifier} and the gateway at {address}")
    async with AsyncGateway(
        address,
        name=wired.gateway.name,
        share_codes={wired.locker.identifier: share.code or ""},
        pacing=Pacing(_LIGHT, _LIGHT),
        timestamps=Timestamps(max_lead=60),
    ) as gateway:
        door = gateway.locker(wired.locker.identifier)
        tell("Open, too early", await _refusal(door))
        await gateway.synchronize()
        tell("Synchronise", "the gateway has fetched the share")
        await _open_and_watch(gateway, door, tell)
        await _revoke(cloud, share, gateway, door, tell)


async def _open_and_watch(gateway: AsyncGateway, door: AsyncLocker, tell: Tell) -> None:
    async with gateway.watch(_POLL, follow_doors=True) as updates:
        result = await door.open()
        tell("Open", f"done, says the gateway after {result.duration:.1f} s")
        async for update in updates:
            if isinstance(update, LockerUpdate) and update.status and update.status.state is DoorState.OPEN:
                tell("Watch", f"the bolt is {update.status.state.value}, RSSI {update.reading.rssi} dBm")
                return


async def _revoke(cloud: Cloud, share: Share, gateway: AsyncGateway, door: AsyncLocker, tell: Tell) -> None:
    await cloud.delete_share(share)
    tell("Revoke", f"share {share.id} is gone from the cloud; the gateway hears of it when it synchronises")
    await gateway.synchronize()
    tell("Open, too late", await _refusal(door))


async def _refusal(door: AsyncLocker) -> str:
    """Try to open a door, and say that it was refused."""
    try:
        await door.open()
    except NotSharedError as error:
        return f"refused with {error.code}: {error}"
    return "opened, which it should not have"
