"""What is special about Redis: leases, outages, passwords."""

import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from tests.waiting import until
from thekeys_async import CoordinationError
from thekeys_async.coordination import Claim, Pause, RedisCoordinator, TurnTimeoutError, Wish

pytestmark = pytest.mark.anyio

KEY = "192.168.0.26:80"
NOW = 1_700_000_000
Start = Callable[..., Any]


def _claim(*, seconds: float = 20.0, command: bool = True) -> Claim:
    return Claim(command, 0.0, anyio.current_time() + seconds, 0.0, Wish(lambda: float(NOW), 0, 1e9))


async def test_a_lease_is_renewed_while_it_is_held(start_redis: Start) -> None:
    url = start_redis().url
    async with RedisCoordinator(url, lease=2.0) as one, RedisCoordinator(url, lease=2.0) as two:
        lease = await one.acquire(KEY, _claim())
        with pytest.raises(TurnTimeoutError):
            await two.acquire(KEY, _claim(seconds=3.0))
        lease.check()


async def test_a_lease_ends_by_itself_when_its_holder_is_gone(start_redis: Start) -> None:
    url = start_redis().url
    async with RedisCoordinator(url, lease=5.0) as two:
        async with RedisCoordinator(url, lease=0.5) as one:
            lease = await one.acquire(KEY, _claim())
        started = anyio.current_time()
        second = await two.acquire(KEY, _claim())
        assert anyio.current_time() - started < 4.0
        with pytest.raises(CoordinationError, match="lease was over"):
            lease.check()
        lease.release(Pause())
        second.check()


async def test_only_the_owner_gives_a_turn_back(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url, lease=5.0) as one, RedisCoordinator(server.url, lease=5.0) as two:
        late = await one.acquire(KEY, _claim())
        await _redis(server, "DEL", f"thekeys:{{{KEY}}}:turn")
        current = await two.acquire(KEY, _claim())
        late.release(Pause(quiet=60.0))
        await anyio.sleep(0.2)
        assert await _redis(server, "EXISTS", f"thekeys:{{{KEY}}}:turn") == "1"
        current.release(Pause())
        (await one.acquire(KEY, _claim(seconds=4.0))).release(Pause())


async def test_a_lease_that_another_holds_is_noticed_when_it_is_renewed(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url, lease=1.5) as one:
        lease = await one.acquire(KEY, _claim())
        await _redis(server, "SET", f"thekeys:{{{KEY}}}:turn", "another")
        taken = anyio.current_time()
        await until(lambda: lease.over)
        assert anyio.current_time() - taken < 1.5
        with pytest.raises(CoordinationError):
            lease.check()


async def test_the_keys_are_few_and_carry_the_gateway(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url) as one:
        lease = await one.acquire(KEY, _claim())
        with pytest.raises(TurnTimeoutError):
            await one.acquire(KEY, _claim(seconds=0.1))
        keys = (await _redis(server, "KEYS", "*")).split()
        assert sorted(keys) in (
            [f"thekeys:{{{KEY}}}:{what}" for what in ("state", "turn", "waiting")],
            [f"thekeys:{{{KEY}}}:{what}" for what in ("state", "turn")],
        )
        lease.release(Pause())
    assert (await _redis(server, "KEYS", "*")).split() == [f"thekeys:{{{KEY}}}:state"]


async def test_redis_gone_is_waited_for_within_the_budget_and_no_longer(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url) as one:
        server.stop()
        started = anyio.current_time()
        with pytest.raises(CoordinationError, match="can't be reached") as caught:
            await one.acquire(KEY, _claim(seconds=0.6))
        assert 0.5 < anyio.current_time() - started < 10.0
        assert caught.value.__cause__ is caught.value.__context__ is None
        async with anyio.create_task_group() as group:
            group.start_soon(one.acquire, KEY, _claim(seconds=30.0))
            await anyio.sleep(0.3)
            await anyio.to_thread.run_sync(server.start)


async def test_redis_that_does_not_answer_blocks_nobody(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url) as one:
        (await one.acquire(KEY, _claim())).release(Pause())
        os.kill(server.process.pid, signal.SIGSTOP)
        started = anyio.current_time()
        with anyio.move_on_after(0.2) as scope:
            await one.acquire(KEY, _claim())
        assert scope.cancelled_caught
        with pytest.raises(CoordinationError, match="does not answer"):
            await one.acquire(KEY, _claim(seconds=0.7))
        assert anyio.current_time() - started < 10.0
        os.kill(server.process.pid, signal.SIGCONT)
        (await one.acquire(KEY, _claim())).release(Pause())


async def test_redis_gone_afterwards_breaks_nothing(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url, lease=3.0) as one:
        lease = await one.acquire(KEY, _claim())
        server.stop()
        lease.check()
        assert lease.take_timestamp() == NOW
        lease.release(Pause())
        await anyio.sleep(0.1)
        await anyio.to_thread.run_sync(server.start)
        assert (await one.acquire(KEY, _claim())).take_timestamp() == NOW


async def test_a_lease_can_not_outlive_an_outage(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url, lease=0.5) as one:
        lease = await one.acquire(KEY, _claim())
        server.stop()
        await anyio.sleep(0.5)
        with pytest.raises(CoordinationError):
            lease.check()


async def test_the_memory_of_redis_may_be_lost(start_redis: Start) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url) as one:
        (await one.acquire(KEY, _claim())).release(Pause())
        await anyio.sleep(0.1)
        server.stop()
        await anyio.to_thread.run_sync(server.start)
        lease = await one.acquire(KEY, _claim())
        assert lease.take_timestamp() == NOW


async def test_state_of_another_kind_is_an_error_and_not_a_reset(start_redis: Start) -> None:
    server = start_redis()
    await _redis(server, "SET", f"thekeys:{{{KEY}}}:state", "nonsense")
    async with RedisCoordinator(server.url) as one:
        with pytest.raises(CoordinationError, match="refuses"):
            await one.acquire(KEY, _claim())


@pytest.mark.parametrize("url", ["redis://:{}@127.0.0.1:{}/2", "redis://default:{}@127.0.0.1:{}"])
async def test_a_password_works_and_is_shown_nowhere(
    start_redis: Start, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server = start_redis("--requirepass", "p/ss#word")
    coordinator = RedisCoordinator(url.format("p%2Fss%23word", server.port))
    shown = repr(coordinator)
    async with coordinator:
        (await coordinator.acquire(KEY, _claim())).release(Pause())
        await anyio.sleep(0.1)
        server.stop()
        with pytest.raises(CoordinationError) as caught:
            await coordinator.acquire(KEY, _claim(seconds=0.3))
    shown += _with_locals(caught.value) + caplog.text
    assert "ss#word" not in shown
    assert "ss%23word" not in shown


async def test_a_wrong_password_is_refused_at_once_and_is_shown_nowhere(
    start_redis: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = start_redis("--requirepass", "right")
    async with RedisCoordinator(f"redis://:wr0ng@127.0.0.1:{server.port}") as coordinator:
        with pytest.raises(CoordinationError, match="refuses") as caught:
            await coordinator.acquire(KEY, _claim(seconds=60.0))
    assert "wr0ng" not in _with_locals(caught.value) + caplog.text


@pytest.mark.parametrize("url", ["http://h/", "redis://:s3cret@h:port", "s3cret", "", "redis://:s3cret/x@h:1"])
def test_a_url_that_makes_no_sense_is_shown_nowhere(url: str) -> None:
    with pytest.raises(ValueError, match="URL of Redis") as caught:
        RedisCoordinator(url)
    assert "s3cret" not in _with_locals(caught.value)


@pytest.mark.parametrize("lease", [0, -1, float("inf"), float("nan")])
def test_a_lease_is_a_time(lease: float) -> None:
    with pytest.raises(ValueError, match="lease"):
        RedisCoordinator("redis://localhost", lease=lease)


async def test_tls_works(start_redis: Start, tmp_path: Path) -> None:
    key, certificate, authority = (tmp_path / f"{name}.pem" for name in ("key", "certificate", "authority"))
    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    issued = ca.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    for pem in issued.cert_chain_pems:
        pem.write_to_path(certificate, append=True)
    options = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no")
    server = start_redis("--tls-port", *options)
    url = f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={authority}"
    async with RedisCoordinator(url) as one:
        assert (await one.acquire(KEY, _claim())).take_timestamp() == NOW


def test_the_client_is_imported_only_when_it_is_used() -> None:
    code = """
import sys
sys.modules["coredis"] = None
from thekeys_async.coordination import FileCoordinator, RedisCoordinator
try:
    RedisCoordinator("redis://localhost")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "thekeys-async[redis]" in done.stdout
    code = "import sys, thekeys_async.coordination; print('coredis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


async def _redis(server: Any, *command: str) -> str:
    line = ["redis-cli", "-p", str(server.port), *command]
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(line, capture_output=True, text=True, check=True))
    return done.stdout.strip()


def _with_locals(error: BaseException) -> str:
    """Render an exception as a tool would that shows local variables; this file's own are no secret's leak."""
    rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    rendered.stack[:] = [frame for frame in rendered.stack if frame.filename != __file__]
    return "".join(rendered.format())
