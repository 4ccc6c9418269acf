"""Metrics, health and the page: over real HTTP on both event loops, and in a real browser."""

import base64
import contextlib
import http.client
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import attrs
import httpx
import pytest
from anyio import to_thread
from prometheus_client.parser import text_string_to_metric_families

from tests.ports import free_port
from tests.sample import CODE, LOCKER
from thekeys_async import BridgeConfig, Config, ConfigurationError, GatewayConfig, LockerConfig, Pacing
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.page import fragment, rows
from thekeys_async.bridge.plan import make_plan
from thekeys_async.bridge.web_address import WebAddress
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

from .browser import Browser
from .running import GARAGE, config, running, simulated, stamped

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thekeys_async.bridge.application.PACING", Pacing(0, 0))
    monkeypatch.setattr("thekeys_async.bridge.prefix_claim.HOLD", 0.05)
    monkeypatch.setattr("thekeys_async.bridge.application.HEARTBEAT", 0.1)


@asynccontextmanager
async def _served(broker, listen, **options) -> AsyncIterator[tuple]:
    """A bridge with a web server, and a client of that."""
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with simulated() as gateway:
        settings = config(broker, gateway, http=f"127.0.0.1:{free_port()}", **options)
        async with (
            running(make_plan(settings, {}), settings, listener) as bridge,
            httpx.AsyncClient(base_url=f"http://{settings.bridge.http}", trust_env=False) as client,
        ):
            yield bridge, gateway, client


async def test_metrics(broker, listen):
    async with _served(broker, listen) as (bridge, _, client):
        await bridge.say(f"lock/{LOCKER}/set", stamped("UNLOCK"))
        await bridge.until_result("done")
        await bridge.say(f"lock/{LOCKER}/set", "UNLOCK")
        await bridge.until_result("refused")
        await bridge.until_said(f"lock/{LOCKER}/state", "UNLOCKED")
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    door = (str(LOCKER), "Front door")
    assert samples["thekeys_gateway_up", "hall"] == 1
    assert samples["thekeys_gateway_last_answer_timestamp_seconds", "hall"] > 1.7e9
    assert samples["thekeys_locker_rssi_dbm", *door] < 0
    assert samples["thekeys_locker_battery_volts", *door] == pytest.approx(7.04, abs=0.02)
    assert samples["thekeys_locker_bolt_state", *sorted((*door, "open"))] == 1
    assert samples["thekeys_locker_bolt_state", *sorted((*door, "closed"))] == 0
    assert not any(name == "thekeys_locker_bolt_state" and str(GARAGE) in labels for name, *labels in samples)
    assert samples["thekeys_locker_bolt_read_timestamp_seconds", *door] > 1.7e9
    assert samples["thekeys_locker_events_total", *sorted((*door, "bridge"))] == 1
    assert samples["thekeys_commands_total", "UNLOCK", "done"] == 1
    assert samples["thekeys_commands_refused_total", "no time"] == 1
    assert samples["thekeys_command_duration_seconds_count",] == 1
    assert samples["thekeys_command_attempts_total",] == 1
    assert samples["thekeys_polls_total", "done"] >= 1
    assert samples["thekeys_mqtt_connected",] == 1
    assert samples["thekeys_mqtt_connects_total",] == 1
    assert 0 <= samples["thekeys_mqtt_heartbeat_seconds",] < 3
    assert any(name == "thekeys_build_info" for name, *_ in samples)
    assert CODE not in response.text


async def test_health_and_readiness(broker, listen):
    async with _served(broker, listen) as (bridge, gateway, client):
        assert (await client.get("/healthz")).status_code == 200
        await bridge.until(lambda: bridge.process.problems() == [])
        response = await client.get("/readyz")
        assert (response.status_code, response.json()) == (200, {"ready": True, "reasons": []})
        await to_thread.run_sync(broker.kill)
        await gateway.stop()
        with anyio.fail_after(20):
            while len((response := await client.get("/readyz")).json()["reasons"]) < 2:  # noqa: ASYNC110 - over HTTP
                await anyio.sleep(0.02)
        assert response.status_code == 503
        assert response.json()["reasons"] == ["no connection to the broker", "no gateway answers"]
        assert (await client.get("/healthz")).status_code == 200


async def test_the_page_loads_nothing_from_elsewhere_and_nobody_else_may_frame_or_read_it(broker, listen):
    async with _served(broker, listen) as (_, _, client):
        response = await client.get("/")
        assert "Front door" in response.text
        assert set(re.findall(r'(?:src|href)="([^"]*)"', response.text)) == {"page.css", "page.js", "data:,"}
        for name in ("/page.css", "/page.js"):
            text = (await client.get(name)).text
            assert "http" not in text.replace("https://www.w3.org", "")
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "server" not in response.headers
        for host in ("evil.example", "[::1", ""):
            assert (await client.get("/", headers={"Host": host})).status_code == 421
        assert (await client.post("/")).status_code == 405
        assert (await client.get("/secrets")).status_code == 404


async def test_beyond_loopback_a_token_is_wanted(broker, listen, tmp_path):
    token = tmp_path / "token"
    token.write_text("Geheim-4711-ä\n")
    async with _served(broker, listen, http_token_file=token) as (_, _, client):
        for path in ("/", "/metrics", "/events", "/readyz", "/healthz", "/page.js"):
            assert (await client.get(path)).status_code == 401
            wrong = {"Authorization": "Bearer Geheim-4711"}
            assert (await client.get(path, headers=wrong)).status_code == 401
        basic = base64.b64encode("me:Geheim-4711-ä".encode()).decode()
        for good in ("Bearer Geheim-4711-ä", f"Basic {basic}"):
            response = await client.get("/metrics", headers={"Authorization": good.encode()})
            assert response.status_code == 200
            assert "Geheim" not in response.text


@pytest.mark.parametrize("where", ["0.0.0.0:9473", "[::]:9473", "192.168.0.4:9473", "bridge.lan:80"])
def test_without_a_token_it_listens_only_to_this_machine(where):
    file = Config({"hall": GatewayConfig("127.0.0.1")}, {}, bridge=BridgeConfig(http=where))
    with pytest.raises(ConfigurationError, match="http_token_file"):
        make_plan(file, {})


def test_tokens_are_compared_as_a_whole():
    address = attrs.evolve(WebAddress.parse("0.0.0.0:1"), token=None)
    assert address.admits(None)
    with_token = make_address("Geheim-ä")
    assert with_token.admits("Geheim-ä")
    for wrong in (None, "", "Geheim-", "Geheim-ä "):
        assert not with_token.admits(wrong)


def make_address(token: str) -> WebAddress:
    from thekeys_async.protocol.secrets import Secret  # noqa: PLC0415 - for this alone

    return attrs.evolve(WebAddress.parse("0.0.0.0:1"), token=Secret(token))


def test_text_from_outside_is_shown_as_text():
    plan = make_plan(Config({"<b>": GatewayConfig("127.0.0.1")}, {"<script>": LockerConfig(LOCKER, "<b>", CODE)}), {})
    devices = Devices(plan.topics, plan.lockers, ["<b>"], version="1")
    html = fragment(devices, ["<i>"], 0.0)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert rows(devices, 0.0)[0].age == "not yet read"


_DOORS = 40
_JAMMED, _LOST, _ALSO_LOST = 17, 30, 31


@asynccontextmanager
async def _forty_doors(broker, listen) -> AsyncIterator[tuple]:
    """Forty doors on four gateways: a gateway takes one signed request a second, and a few ahead."""
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with AsyncExitStack() as stack:
        gateways: dict[str, SimulatedGateway] = {}
        doors: dict[str, LockerConfig] = {}
        for name in ("north", "east", "south", "west"):
            numbers = range(len(doors) + 1, len(doors) + 1 + _DOORS // 4)
            lockers = [SimulatedLocker(number, share_code=CODE, battery_mv=7800) for number in numbers]
            gateways[name] = await stack.enter_async_context(simulated(lockers=lockers))
            doors |= {f"Door {number:02}": LockerConfig(number, name, CODE) for number in numbers}
        gateways["east"].lockers[_JAMMED].state = "jammed"
        gateways["south"].vanish(_LOST)
        gateways["west"].vanish(_ALSO_LOST)
        table = BridgeConfig(broker=broker.url, http=f"127.0.0.1:{free_port()}", interval=0.2, max_clock_skew=0.01)
        hosts = {name: GatewayConfig(gateway.address) for name, gateway in gateways.items()}
        file = Config(hosts, doors, bridge=table)
        bridge = await stack.enter_async_context(running(make_plan(file, {}), file, listener, ready=False))
        for number in (_LOST, _ALSO_LOST):
            await bridge.until_said(f"lock/{number}/availability", "offline")
        await bridge.until(lambda: list(listener.values.values()).count("LOCKED") == _DOORS - 3)
        await bridge.until_said(f"lock/{_JAMMED}/state", "JAMMED")
        await bridge.until_said("bridge/state", "online")
        yield bridge, gateways, f"http://{table.http}/"


_ROWS = "[...document.querySelectorAll('tbody tr')]"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_forty_doors_in_a_real_browser(broker, listen, tmp_path, pytestconfig):
    async with _forty_doors(broker, listen) as (_, gateways, url):

        def look() -> None:
            with Browser(tmp_path / "profile") as browser:
                for width, height in ((1280, 900), (390, 844)):
                    _look_at(browser, url, width, height)
                    if (folder := pytestconfig.getoption("--pictures")) is not None:
                        browser.picture(folder / f"bridge-page-{width}.png")
                anyio.from_thread.run_sync(gateways["north"].turn_bolt, 5, "open")
                browser.wait_for(
                    f"{_ROWS}.some(row => /Door 05/.test(row.innerText) && /unlocked/.test(row.innerText))"
                )

        await to_thread.run_sync(look)


def _look_at(browser: Browser, url: str, width: int, height: int) -> None:
    browser.open(url, width=width, height=height, script=False)
    without_script = browser.evaluate(f"{_ROWS}.map(row => row.innerText)")
    browser.open(url, width=width, height=height)
    browser.wait_for("document.getElementById('live').textContent === 'live'")
    rows_shown = browser.evaluate(f"{_ROWS}.map(row => row.innerText)")
    for shown in (without_script, rows_shown):
        assert len(shown) == _DOORS
        first, second, third, fourth = shown[:4]
        assert f"Door {_JAMMED}" in first
        assert "the bolt is jammed" in first
        assert f"Door {_LOST}" in second
        assert f"Door {_ALSO_LOST}" in third
        assert "its gateway does not see it" in third
        assert "Door 01" in fourth
        assert "locked" in fourth
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    names = f"{_ROWS}.map(row => row.querySelector('th').getBoundingClientRect())"
    assert browser.evaluate(f"Math.min(...{names}.map(box => box.width))") > 100
    assert browser.evaluate(f"Math.max(...{names}.map(box => box.right))") <= width


async def test_news_come_by_themselves(broker, listen):
    async with _served(broker, listen) as (_, gateway, client):

        def read() -> None:
            connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=20)
            connection.request("GET", "/events")
            with contextlib.closing(connection), connection.getresponse() as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                first = response.readline().decode()
                assert ">locked<" in json.loads(first.removeprefix("data: "))
                anyio.from_thread.run_sync(gateway.turn_bolt, LOCKER, "open")
                while ">unlocked<" not in response.readline().decode():
                    pass

        await to_thread.run_sync(read)


async def test_a_port_that_is_taken_costs_the_page_and_no_door(broker, listen, caplog, monkeypatch):
    monkeypatch.setattr("thekeys_async.bridge.web._TRY_AGAIN", 0.05)
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with simulated() as gateway:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            settings = config(broker, gateway, http=f"127.0.0.1:{taken.getsockname()[1]}")
            async with running(make_plan(settings, {}), settings, listener) as bridge:
                await bridge.say(f"lock/{LOCKER}/set", stamped("UNLOCK"))
                await bridge.until_result("done")
                assert "there is no page" in caplog.text
                taken.close()
                async with httpx.AsyncClient(trust_env=False) as client:
                    with anyio.fail_after(20):
                        while True:
                            try:
                                response = await client.get(f"http://{settings.bridge.http}/healthz")
                            except httpx.ConnectError:
                                await anyio.sleep(0.02)
                            else:
                                break
                assert response.status_code == 200
