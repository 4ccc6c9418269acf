"""The pytest fixtures, used as other people use them."""

import subprocess
import sys
import threading

import httpx
import pytest

from tests.sample import LOCKER
from thekeys_async.simulator import Fault, ReplyStyle, SimulatedLocker


def test_a_plain_test(simulated_gateway, sign):
    with httpx.Client(base_url=simulated_gateway.url, trust_env=False, verify=False) as client:
        assert client.post("/open", data=sign()).json()["code"] == 0
        assert simulated_gateway.lockers[LOCKER].state == "open"
        simulated_gateway.turn_bolt(LOCKER, "close")
        assert client.get("/lockers").json()["devices"][0]["last_log"] == 102
    assert [record.endpoint for record in simulated_gateway.requests] == ["open", "lockers"]


@pytest.mark.anyio
async def test_with_anyio(simulated_gateway, client):
    assert (await client.get(simulated_gateway.url + "/lockers")).status_code == 200


@pytest.mark.asyncio
async def test_with_pytest_asyncio(simulated_gateway):
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        assert (await client.get(simulated_gateway.url + "/lockers")).status_code == 200


def test_trouble_on_demand(simulated_gateway, sign):
    with httpx.Client(base_url=simulated_gateway.url, trust_env=False, verify=False) as client:
        simulated_gateway.fail(Fault.HTML_500)
        simulated_gateway.error(37, on="open", acted=True)
        assert client.get("/lockers").status_code == 500
        assert client.post("/open", data=sign()).json()["code"] == 37
        simulated_gateway.reply_next("nonsense", on="status")
        assert client.get("/status").text == "nonsense"
        simulated_gateway.error(36, share=1)
        simulated_gateway.clear_faults()
        with simulated_gateway.synchronizing():
            assert client.get("/lockers").json()["code"] == 500
            assert client.get("/status").json()["current_status"] == "Synchronizing gw"
        simulated_gateway.vanish(LOCKER)
        assert client.get("/lockers").json()["devices"] == []
        simulated_gateway.appear(LOCKER)
        simulated_gateway.appear(SimulatedLocker(2))
        assert len(client.get("/lockers").json()["devices"]) == 2


def test_gone_and_back(simulated_gateway):
    simulated_gateway.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(simulated_gateway.url, trust_env=False, verify=False)
    simulated_gateway.start()
    assert (
        httpx.get(simulated_gateway.url, trust_env=False, verify=False).json()["version"]
        == simulated_gateway.version
        == 65
    )


def test_several_gateways_with_delays_of_their_own(simulated_gateway_factory):
    slow = simulated_gateway_factory([SimulatedLocker(1)], light=0.3, style=ReplyStyle.PAGE)
    fast = simulated_gateway_factory()
    asking = threading.Thread(target=httpx.get, args=(slow.url + "/lockers",), kwargs={"trust_env": False})
    asking.start()
    slow.wait_for_requests(1)
    assert httpx.get(slow.url + "/lockers", trust_env=False, verify=False).json() == {
        "status": "500",
        "message": "busy",
    }
    assert httpx.get(fast.url + "/lockers", trust_env=False, verify=False).status_code == 200
    asking.join()
    assert slow.overlaps == 1
    assert fast.overlaps == 0
    assert slow.work_share() > 0


def test_settings_can_be_changed(simulated_gateway):
    simulated_gateway.settings.style = ReplyStyle.PAGE
    simulated_gateway.state.version = 17
    assert httpx.get(simulated_gateway.url + "/status", trust_env=False, verify=False).json()["version"] == "17"


def test_waiting_for_what_does_not_come_ends(simulated_gateway):
    with pytest.raises(TimeoutError):
        simulated_gateway.wait_for_requests(1, timeout=0.01)


@pytest.mark.parametrize("held", ["cloud", "gateway"])
def test_a_handle_offers_what_it_holds(simulated_home, held):
    handle = getattr(simulated_home, held)
    public = {name for name in dir(type(getattr(handle, held))) if not name.startswith("_")}
    assert public <= set(dir(handle))
    for name in public:
        assert hasattr(handle, name)
    with pytest.raises(AttributeError):
        _ = handle.nonsense
    with pytest.raises(AttributeError):
        _ = handle._tasks


def test_a_method_runs_on_the_thread_of_what_is_held(simulated_gateway):
    threads = []
    simulated_gateway.on_synchronize.append(lambda _: threads.append(threading.current_thread()))
    httpx.get(simulated_gateway.url + "/synchronize", trust_env=False, verify=False)
    simulated_gateway.wait_until(lambda: threads.append(threading.current_thread()) or True)
    assert threads[0] is threads[1] is not threading.current_thread()


def test_a_home_in_a_plain_test(simulated_home):
    locker = simulated_home.gateway.lockers[LOCKER]
    assert not locker.share_codes
    with httpx.Client(base_url=simulated_home.cloud.url, trust_env=False, verify=False) as client:
        form = {"_username": simulated_home.cloud.username, "_password": simulated_home.cloud.password}
        simulated_home.cloud.fail(Fault.HTML_500, on="login")
        assert client.post("/api/login_check", data=form).status_code == 500
        assert client.post("/api/login_check", data=form).json()["access_token"]
        simulated_home.cloud.reply_next({"data": None}, on="login")
        assert client.post("/api/login_check", data=form).json() == {"data": None}
    simulated_home.cloud.wait_for_requests(3, on="login")
    assert [request.call for request in simulated_home.cloud.requests] == ["login"] * 3
    assert simulated_home.cloud.logins == 1


def test_a_home_grows(simulated_home, simulated_gateway_factory):
    annex = simulated_home.cloud.add_gateway(simulated_gateway_factory([SimulatedLocker(2)]), name="Annex")
    keypad = simulated_home.cloud.add_keypad(LOCKER, name="Door")
    assert annex.lockers == {2}
    assert set(simulated_home.cloud.accessories) == {"TK-GW-1", annex.identifier, keypad.identifier}
    assert simulated_home.cloud.shares == ()
    simulated_home.cloud.expire_tokens()
    with pytest.raises(TimeoutError):
        simulated_home.cloud.wait_for_requests(1, timeout=0.01)


def test_importing_the_plugin_loads_no_simulator():
    program = (
        "import sys, thekeys_async.simulator.pytest_plugin;"
        "print([name for name in sys.modules if name.startswith('thekeys_async.simulator.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['thekeys_async.simulator.pytest_plugin']"


def test_unknown_names_are_attribute_errors():
    import thekeys_async.simulator as package  # noqa: PLC0415 - its __getattr__ is what is tested

    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense
