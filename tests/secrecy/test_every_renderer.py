"""No renderer shows a secret: rich, `capture_locals`, and a walk over all frames and the attributes of our objects.

What is looked at: the frames of this package alone, those of all tasks that wait for something, and those of errors.
What the caller's own frames and other people's libraries hold is theirs.
"""

import gc
import logging
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CoroutineType, FrameType, MethodType
from typing import Any
from urllib.parse import quote

import anyio
import click
import httpx
import pytest
from anyio import from_thread
from click.testing import CliRunner
from rich.pretty import pretty_repr

from tests.sample import CODE
from thekeys_async import AsyncGateway, Fleet, GatewayTransport, Pacing, TheKeysError
from thekeys_async.cli.commands import thekeys
from thekeys_async.cli.errors import Failure
from thekeys_async.cloud import Cloud, CloudError
from thekeys_async.cloud.http import WebConnection
from thekeys_async.coordination import Claim, RedisCoordinator, TurnTimeoutError, Wish
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.simulator import SimulatedCloud, SimulatedGateway, SimulatedLocker
from thekeys_async.simulator.faults import Fault
from thekeys_async.turns.queue import Turns

pytestmark = pytest.mark.anyio

PASSWORD = "Tr0ub4dor-and-three"
REDIS_PASSWORD = "r3dis-Passw0rd"
PIN = "80314159"

_OURS = "/thekeys_async/"
_NOT_OURS = ("/simulator/",)


def is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return _OURS in file and "/tests/" not in file and not any(part in file for part in _NOT_OURS)


def frames_of_tasks() -> Iterator[FrameType]:
    """The frames of all tasks that wait for something."""
    for running in [thing for thing in gc.get_objects() if isinstance(thing, CoroutineType)]:
        if running.cr_frame is not None:
            yield running.cr_frame


def frames_of_error(error: BaseException | None) -> Iterator[FrameType]:
    """The frames of a traceback, and of those of all errors behind it, also behind ``from None``."""
    while error is not None:
        yield from (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from frames_of_error(each)
        error = error.__cause__ or error.__context__


def frames_here() -> Iterator[FrameType]:
    """The frames that are running."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def shown(frames: Iterable[FrameType], *errors: BaseException) -> dict[str, str]:
    """What each renderer makes of one of our frames for each place, and of errors, by where it was seen."""
    found: dict[str, str] = {}
    places = {
        f"{frame.f_code.co_filename.rpartition(_OURS)[2]}:{frame.f_lineno} {frame.f_code.co_name}": frame
        for frame in frames
        if is_ours(frame)
    }
    for where, frame in places.items():
        variables = dict(frame.f_locals)
        found[f"rich, {where}"] = pretty_repr(variables)
        summary = traceback.StackSummary.extract([(frame, frame.f_lineno)], capture_locals=True)
        found[f"capture_locals, {where}"] = "".join(summary.format())
        for path, text in texts(variables):
            found[f"a walk, {where}: {path}"] = text
    for error in errors:
        name = type(error).__name__
        found[f"{name}"] = f"{error} {error!r} {pretty_repr(error)} {pretty_repr(vars(error))}"
        found[f"format_exception of {name}"] = "".join(traceback.format_exception(error))
    return found


def texts(value: object, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, str]]:
    """All text below a value, through containers and through the attributes of this package's objects."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes | bytearray | memoryview):
        yield path, value if isinstance(value, str) else bytes(value).decode("latin-1")
        return
    if id(value) in seen or len(seen) > 20_000:
        return
    seen.add(id(value))
    for name, each in _below(value):
        yield from texts(each, f"{path}.{name}", seen)


def _below(value: Any) -> Iterator[tuple[str, object]]:
    match value:
        case Mapping():
            for key, each in list(value.items()):
                yield from (("key", key), (f"{key!r:.30}", each))
        case list() | tuple() | set() | frozenset() | deque():
            yield from ((str(index), each) for index, each in enumerate(list(value)))
        case partial():
            yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
        case MethodType():
            yield "self", value.__self__
        case BaseException():
            yield from (("args", value.args), ("dict", vars(value)))
        case _ if type(value).__module__.startswith("thekeys_async.") and "simulator" not in type(value).__module__:
            yield from _attributes(value)


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    yield from list(getattr(value, "__dict__", {}).items())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)


def leaks(found: Mapping[str, str], *secrets: str) -> list[str]:
    """Where a secret is shown: one place each, as pytest would otherwise take long to tell the difference."""
    return sorted({f"{where} shows {secret}" for where, text in found.items() for secret in secrets if secret in text})


def test_the_walk_finds_what_is_to_be_found() -> None:
    """Else all that follows would show nothing."""
    gateway = AsyncGateway("h", share_codes={1: CODE})
    frame = sys._getframe()
    assert leaks(dict(texts({"a": [{"b": (CODE,)}]})), CODE)
    gateway._plain = CODE
    assert leaks(dict(texts(gateway)), CODE)
    del gateway._plain
    assert not leaks(dict(texts(gateway)), CODE)
    assert not is_ours(frame)


def _own(address: str) -> dict[str, Any]:
    return {}


def _httpx_transport(address: str) -> dict[str, Any]:
    return {"transport": httpx.AsyncHTTPTransport(trust_env=False, verify=False)}


def _our_transport(address: str) -> dict[str, Any]:
    return {"transport": GatewayTransport(address)}


@pytest.fixture(params=[_own, _our_transport, _httpx_transport])
def way(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    return request.param


@pytest.mark.virtual_time
async def test_calls_under_way_and_how_they_end(
    way: Callable[[str], dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: dict[str, str] = {}
    hashes: set[str] = set()

    async def fail(fault: Fault | None) -> None:
        async with (
            SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0.05, bluetooth=0.1) as simulated,
            AsyncGateway(
                simulated.address, share_codes={1: CODE}, pacing=Pacing(0, 0), **way(simulated.address)
            ) as gateway,
            anyio.create_task_group() as group,
        ):
            if fault:
                simulated.fail(fault, times=20)
            door = gateway.locker(1)
            for method in (door.open, door.status, gateway.lockers, door.close, door.status, door.calibrate):
                group.start_soon(call, method)
        stamps = {record.timestamp for record in simulated.requests if record.timestamp}
        hashes.update(ShareCode(CODE).sign(stamp) for stamp in stamps)

    async def call(method: Callable[..., Any]) -> None:
        try:
            await method(timeout=2.0)
        except TheKeysError as error:
            seen.update(shown(frames_of_error(error), error))

    await fail(None)  # alone: with the others on a busy machine, it might not get so far as to sign
    async with anyio.create_task_group() as group:
        for fault in set(Fault) - {Fault.REFUSE, Fault.DRIP}:
            group.start_soon(fail, fault)
        for _ in range(4):
            await anyio.sleep(0.1)
            seen |= shown(frames_of_tasks())
    seen["log"] = caplog.text
    assert any("calls/call.py" in where for where in seen)
    assert hashes
    leaking = leaks(seen, CODE, "hash=", *hashes, *(quote(each, safe="") for each in hashes))
    assert not leaking


@pytest.mark.virtual_time
async def test_what_watches_and_a_fleet() -> None:
    async with SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0.05) as simulated:
        gateway = AsyncGateway(simulated.address, share_codes={1: CODE}, pacing=Pacing(0, 0))
        async with Fleet({"hall": gateway}) as fleet, fleet.watch(interval=0.05, lockers=[1]) as updates:
            seen: dict[str, str] = {}
            async for _ in updates:
                seen |= shown(frames_of_tasks())
                if len(simulated.requests) > 6:
                    break
            seen |= dict(texts((fleet, gateway, updates)))
    assert any("streams/" in where for where in seen)
    leaking = leaks(seen, CODE, "hash=")
    assert not leaking


@pytest.mark.parametrize("url", ["redis://:{}@127.0.0.1:{}", "redis://default:{}@127.0.0.1:{}", "redis://:{}x@h:1"])
async def test_a_redis_password(start_redis: Callable[..., Any], caplog: pytest.LogCaptureFixture, url: str) -> None:
    caplog.set_level(logging.DEBUG)
    server = start_redis("--requirepass", REDIS_PASSWORD)
    seen: dict[str, str] = {}

    async def ask(coordinator: RedisCoordinator) -> None:
        claim = Claim(True, 0.0, anyio.current_time() + 0.5, 0.0, Wish(lambda: 1.7e9, 0, 10.0))
        try:
            await coordinator.acquire("g", claim)
        except (TheKeysError, TurnTimeoutError) as error:
            seen.update(shown(frames_of_error(error), error))

    async with RedisCoordinator(url.format(REDIS_PASSWORD, server.port)) as coordinator:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, coordinator)
            for _ in range(5):
                await anyio.sleep(0.02)
                seen |= shown(frames_of_tasks())
        with anyio.move_on_after(0.5):
            async with coordinator.lead("a", lease=0.3):
                seen |= shown(frames_of_tasks())
        seen |= dict(texts(coordinator)) | dict(
            texts(vars(coordinator._connection._client.connection_pool), "the pool")
        )
    seen["log"] = caplog.text
    assert any("coordination/redis" in where for where in seen)
    leaking = leaks(seen, REDIS_PASSWORD)
    assert not leaking


@pytest.mark.virtual_time
async def test_an_account_at_the_cloud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: dict[str, str] = {}
    secrets = {PASSWORD, PIN}

    async def call(method: Callable[..., Any], *arguments: object, **options: object) -> None:
        try:
            await method(*arguments, **options)
        except CloudError as error:
            seen.update(shown(frames_of_error(error), error))

    async with (
        SimulatedGateway([SimulatedLocker(1)], light=0, bluetooth=0) as simulated,
        SimulatedCloud([simulated], password=PASSWORD, delay=0.05) as server,
        Cloud("+33612345678", PASSWORD, base_url=server.url, timeout=2.0) as cloud,
    ):
        for fault in (None, Fault.RESET_AFTER, Fault.NOT_JSON):
            if fault:
                server.fail(fault, times=20)
            async with anyio.create_task_group() as group:
                for method in (cloud.lockers, cloud.gateways, cloud.account):
                    group.start_soon(call, method)
                for _ in range(4):
                    await anyio.sleep(0.03)
                    seen |= shown(frames_of_tasks())
        server._planned_faults.clear()
        locker, gateway = (await cloud.lockers())[0], (await cloud.gateways())[0]
        async with anyio.create_task_group() as group:
            group.start_soon(partial(call, cloud.ensure_share, locker, gateway, name="hall"))
            group.start_soon(partial(call, cloud.create_share, locker, gateway, name="guest", share_code=PIN))
            for _ in range(6):
                await anyio.sleep(0.03)
                seen |= shown(frames_of_tasks())
        secrets |= {share.code for share in await cloud.shares(locker)} - {""}
        secrets |= set(server._tables._tokens)
        seen |= dict(texts(cloud))
    seen["log"] = caplog.text
    assert len(secrets) > 3
    assert any("cloud/session.py" in where for where in seen)
    leaking = leaks(seen, *secrets)
    assert not leaking


ACTIONS = [
    ("open", "--host", "{gateway}", "-i", "1", "-c", CODE, "--no-coordination"),
    ("--host", "{gateway}", "-i", "1", "-c", CODE, "locker_status", "-d"),
    ("open", "front", "--config", "{config}", "--no-coordination"),
    ("watch", "--config", "{config}", "--no-coordination", "--interval", "0.1"),
    ("shares", "list", "--username", "+33612345678", "--cloud-url", "{cloud}", "--config", "{config}"),
    ("simulate", "--port", "0", "--locker", f"1:{CODE}"),
    ("open", "--host", "{gateway}", "-i", f"1{CODE}", "-c", CODE),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action[0]} {action[1]}")
def test_the_command(action: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does, it comes by one of the places where all its frames are looked at."""
    seen: dict[str, str] = {}
    looked: list[int] = []

    def look(*_: object) -> None:
        looked.append(1)
        if len(looked) < 12:
            seen.update(shown([*frames_here(), *frames_of_tasks()]))
        if action[0] == "simulate" or (action[0] == "watch" and len(looked) > 12):
            raise KeyboardInterrupt

    config = tmp_path / "config.toml"
    with from_thread.start_blocking_portal() as portal:
        lockers = [SimulatedLocker(1, share_code=CODE)]
        with (
            portal.wrap_async_context_manager(SimulatedGateway(lockers, light=0, bluetooth=0.05)) as simulated,
            portal.wrap_async_context_manager(SimulatedCloud([simulated], password=PASSWORD)) as server,
        ):
            config.write_text(
                f'[gateways.hall]\nhost = "{simulated.address}"\n'
                f'[lockers.front]\nidentifier = 1\ngateway = "hall"\ncode = "{CODE}"\n'
            )
            config.chmod(0o600)
            for name, function in PLACES.items():
                monkeypatch.setattr(name, _looking(look, function))
            places = {"gateway": simulated.address, "cloud": server.url, "config": str(config)}
            environment = {"THEKEYS_PASSWORD": PASSWORD, "XDG_STATE_HOME": str(tmp_path)}
            arguments = [part.format(**places) for part in action]
            result = CliRunner(env=environment).invoke(thekeys, arguments, prog_name="thekeys")
            monkeypatch.undo()
    if result.exc_info:
        error = result.exc_info[1]
        seen |= shown(frames_of_error(error), error)
    seen["output"] = result.output
    assert looked, (result.output, result.exception)
    assert any("cli/" in where for where in seen)
    leaking = leaks(seen, CODE, PASSWORD, *server._tables._tokens)
    assert not leaking


PLACES: dict[str, Callable[..., Any]] = {
    "anyio.sleep": anyio.sleep,
    "traceback.print_exc": traceback.print_exc,
    "thekeys_async.turns.queue.Turns.enter": Turns.enter,
    "thekeys_async.cli.errors.Failure.__init__": Failure.__init__,
    "click.UsageError.__init__": click.UsageError.__init__,
    "thekeys_async.cloud.http.WebConnection.exchange": WebConnection.exchange,
    "thekeys_async.simulator.gateway.SimulatedGateway.__aenter__": SimulatedGateway.__aenter__,
}


def _looking(look: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def looking(*arguments: Any, **options: Any) -> Any:
        look()
        return function(*arguments, **options)

    return looking
