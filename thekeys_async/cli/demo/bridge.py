"""`thekeys demo --bridge`: a door in MQTT, and three messages that do not open it.

The broker is a real mosquitto, on loopback and for this long; the gateway is simulated, in this process. Everything
shown is what was said on the broker's topics.
"""

import json
import shutil
import socket
import subprocess
import time
from functools import partial

import anyio
import click

from thekeys_async.cli.demo.cloud import Tell, show_steps
from thekeys_async.cli.errors import ExitCode, other_failure
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.config.values import BridgeConfig, Config, GatewayConfig, LockerConfig
from thekeys_async.protocol.text import printable
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

try:
    from thekeys_async.bridge.broker import Broker
    from thekeys_async.bridge.broker_address import BrokerAddress
    from thekeys_async.bridge.broker_link import Message, TopicSubscription
    from thekeys_async.bridge.plan import make_plan
    from thekeys_async.bridge.process import Process
    from thekeys_async.bridge.retained import RetainedTopics
except ModuleNotFoundError as error:
    raise click.UsageError(f"{error.name} is missing. Run: pip install 'thekeys-async[bridge]'") from None

_LOCKER, _CODE = 45961123, "Zmo1sps2OVyCFtl1"  # as on the vendor's page
_SET = f"thekeys/lock/{_LOCKER}/set"
_LIGHT, _BLUETOOTH, _BOLT = 0.02, 0.1, 0.5
_POLL, _SKEW = 0.5, 0.1
_LONGEST = 30.0
_COMES_UP = 0.05
_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"


def run_demo_of_bridge(settings: CommandSettings) -> None:
    """Show a door in MQTT, step by step.

    Raises:
        Failure: No mosquitto is installed.
    """
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path=_PLACES)
    if mosquitto is None:
        sentence = "No mosquitto is installed, and a bridge needs a broker. On Debian: apt install mosquitto"
        raise other_failure("MissingProgram", sentence, ExitCode.USAGE, as_json=settings.json)
    introduction = "A mosquitto on loopback, a simulated gateway that sees one locker, and the bridge between."
    show_steps(settings, introduction, partial(_simulate, mosquitto))


class _Client:
    """Another client of the broker: what Home Assistant would be."""

    def __init__(self, url: str) -> None:
        self.values: dict[str, str] = {}
        self.broker = Broker(
            BrokerAddress.parse(url),
            RetainedTopics(),
            (TopicSubscription("thekeys/#"), TopicSubscription("homeassistant/#")),
            self,
            will=("thekeys/demo", ""),
            client_id="demo",
        )
        self._news = anyio.Event()

    def connected(self) -> None:
        """Nothing has to be said first."""

    def disconnected(self) -> None:
        """It connects again by itself."""

    def received(self, message: Message) -> None:
        """Note what was said."""
        self.values[message.topic] = message.payload.decode(errors="replace")
        news, self._news = self._news, anyio.Event()
        news.set()

    async def until(self, topic: str, words: str) -> str:
        """Wait until something is said on a topic."""
        while words not in self.values.get(topic, ""):
            await self._news.wait()
        return self.values[topic]

    async def until_it_is(self, topic: str, value: str) -> str:
        """Wait until a topic has a value."""
        while self.values.get(topic) != value:
            await self._news.wait()
        return value

    async def refusal(self) -> str:
        """Wait until the bridge has refused the newest message, and say why."""
        topic = f"thekeys/lock/{_LOCKER}/result"
        self.values.pop(topic, None)
        return printable(str(json.loads(await self.until(topic, "refused"))["reason"]))


async def _simulate(mosquitto: str, tell: Tell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gateway = SimulatedGateway(
        [SimulatedLocker(_LOCKER, share_code=_CODE)], light=_LIGHT, bluetooth=_BLUETOOTH, bolt_delay=_BOLT
    )
    command = [mosquitto, "-p", str(port)]
    async with (
        await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker,
        gateway,
    ):
        try:
            with anyio.fail_after(_LONGEST):
                await _until_open(port)
                await _go(f"mqtt://127.0.0.1:{port}", gateway, tell)
        finally:
            broker.terminate()


async def _until_open(port: int) -> None:
    while True:
        try:
            await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
        except OSError:
            await anyio.sleep(_COMES_UP)
        else:
            return


async def _go(url: str, gateway: SimulatedGateway, tell: Tell) -> None:
    table = BridgeConfig(broker=url, http=None, interval=_POLL, max_clock_skew=_SKEW)
    lockers = {"front-door": LockerConfig(_LOCKER, "hall", _CODE, area="Hall")}
    config = Config({"hall": GatewayConfig(gateway.address)}, lockers, bridge=table)
    client = _Client(url)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.broker.run)
        tasks.start_soon(Process(make_plan(config, {}), {"hall": {_LOCKER: _CODE}}, None).run)
        await _show(client, gateway, tell)
        tasks.cancel_scope.cancel()


async def _show(client: _Client, gateway: SimulatedGateway, tell: Tell) -> None:
    state = f"thekeys/lock/{_LOCKER}/state"
    device = json.loads(await client.until(f"homeassistant/device/thekeys_{_LOCKER}/config", "device"))
    tell("Discovery", f"{device['device']['name']} with {', '.join(device['components'])}")
    tell("First read", await client.until_it_is(state, "LOCKED"))
    await client.until_it_is("thekeys/bridge/state", "online")
    client.broker.publish(_SET, json.dumps({"action": "UNLOCK", "at": time.time()}))
    tell("A stamped UNLOCK", await client.until_it_is(state, "UNLOCKING"))
    tell("The bolt has moved", await client.until_it_is(state, "UNLOCKED"))
    gateway.turn_bolt(_LOCKER, "close")
    await client.until_it_is(state, "LOCKED")
    tell(
        "Turned by hand", f"LOCKED, by {json.loads(await client.until(f'thekeys/lock/{_LOCKER}/event', 'other'))['by']}"
    )
    client.broker.publish(_SET, "UNLOCK")
    tell("UNLOCK without a time", f"refused: {await client.refusal()}")
    client.broker.publish(_SET, json.dumps({"action": "UNLOCK", "at": time.time() - 20}))
    tell("UNLOCK, 20 s old", f"refused: {await client.refusal()}")
    client.broker.publish(_SET, json.dumps({"action": "UNLOCK", "at": time.time()}), retain=True)
    tell("UNLOCK that the broker keeps", f"refused: {await client.refusal()}")
    tell("The door", f"{client.values[state]}; it was opened {gateway.lockers[_LOCKER].opened_count} time")
