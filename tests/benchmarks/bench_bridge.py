"""What the bridge costs and how fast it is: 200 lockers on 40 gateways, with a real mosquitto and a process of its own.

Prints three things: the CPU of an idle bridge, its memory with the broker there and away while the doors are not quiet,
and the time from a stamped message at the broker to the request at an idle gateway.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from simulated import CODE

from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

GATEWAYS, LOCKERS = 40, 5
PROMISED_SHARE, PROMISED_LATENCY = 0.05, 0.020
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    quick = parser.parse_args().quick
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if mosquitto is None:
        sys.stdout.write("not measured: mosquitto is not installed\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_measure, Path(folder), mosquitto, quick)


async def _measure(folder: Path, mosquitto: str, quick: bool) -> None:
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(SimulatedGateway(_lockers(number), light=0.0, bluetooth=0.0))
            for number in range(GATEWAYS)
        ]
        port = _free_port()
        broker = stack.enter_context(_running(mosquitto, "-p", str(port)))
        file = _config(folder, gateways, port)
        command = (sys.executable, "-m", "thekeys_async", "bridge", "--config", str(file), "--no-coordination")
        bridge = stack.enter_context(_running(*command))
        await _until_read(gateways)
        client = stack.enter_context(_client(port))
        await _idle(bridge.pid, 3.0 if quick else 60.0)
        await _latency(gateways, client, 5 if quick else 100)
        broker.send_signal(signal.SIGSTOP)
        await _memory(gateways, bridge.pid, 3.0 if quick else 120.0)
        broker.send_signal(signal.SIGCONT)


def _lockers(number: int) -> list[SimulatedLocker]:
    return [SimulatedLocker(number * LOCKERS + index + 1, share_code=CODE) for index in range(LOCKERS)]


def _config(folder: Path, gateways: list[SimulatedGateway], port: int) -> Path:
    text = f'[bridge]\nbroker = "mqtt://127.0.0.1:{port}"\nhttp = false\n'
    for number, gateway in enumerate(gateways):
        text += f'[gateways.g{number}]\nhost = "{gateway.address}"\n'
        for identifier in gateway.lockers:
            text += f'[lockers.door-{identifier}]\nidentifier = {identifier}\ngateway = "g{number}"\ncode = "{CODE}"\n'
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


async def _until_read(gateways: list[SimulatedGateway]) -> None:
    """Wait until every bolt has been read once: that is no idle bridge yet."""
    for gateway in gateways:
        await gateway.wait_for_requests(LOCKERS, on="locker_status")
    await anyio.sleep(6)  # what a process refuses after its start is over then, too


async def _idle(pid: int, seconds: float) -> None:
    before, began = _cpu(pid), time.monotonic()
    await anyio.sleep(seconds)
    share = (_cpu(pid) - before) / (time.monotonic() - began)
    _tell("CPU of an idle bridge, 200 lockers on 40 gateways at 10 s", f"{share:.2%} of a core", share < PROMISED_SHARE)


async def _latency(gateways: list[SimulatedGateway], client: Client, rounds: int) -> None:
    """Measure by one clock: the request's arrival is noted in this process, where the message is made, too."""
    taken: list[float] = []
    for number in range(rounds):
        gateway = gateways[number % GATEWAYS]
        identifier = next(iter(gateway.lockers))
        action, endpoint = ("UNLOCK", "open") if (number // GATEWAYS) % 2 == 0 else ("LOCK", "close")
        seen = sum(record.endpoint == endpoint for record in gateway.requests)
        began = time.perf_counter()
        client.publish(f"thekeys/lock/{identifier}/set", json.dumps({"action": action, "at": time.time()}), qos=0)
        with anyio.fail_after(10):
            await gateway.wait_for_requests(seen + 1, on=endpoint)
        taken.append(time.perf_counter() - began)
        await anyio.sleep(0.3)
    median = statistics.median(taken)
    worst = max(taken)
    words = f"{1000 * median:.1f} ms at the median, {1000 * worst:.1f} ms at worst, of {rounds}"
    _tell("From a stamped message to the request at the gateway", words, median < PROMISED_LATENCY)


async def _memory(gateways: list[SimulatedGateway], pid: int, seconds: float) -> None:
    """Turn bolts by hand while the broker is away, so that there is news all the time."""
    await anyio.sleep(2)
    before, ends, turns = _memory_of(pid), time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        gateway = gateways[turns % GATEWAYS]
        gateway.turn_bolt(next(iter(gateway.lockers)), "open" if (turns // GATEWAYS) % 2 else "close")
        turns += 1
        await anyio.sleep(0.05)
    grown = _memory_of(pid) - before
    words = f"{before / 2**20:.1f} MiB, and {grown / 2**10:+.0f} KiB after {turns} turned bolts in {seconds:.0f} s"
    _tell("Memory with the broker away", words, grown < 2 * 2**20)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _tell(what: str, found: str, kept: bool) -> None:
    sys.stdout.write(f"{what}: {found}{'' if kept else '  <- more than promised'}\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def _running(*command: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _client(port: int) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


if __name__ == "__main__":
    main()
