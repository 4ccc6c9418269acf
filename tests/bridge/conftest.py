"""A real broker, and a client of it that is not ours to test."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import trustme
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.ports import free_port

PASSWORD = "Zmo1sps2 broker"


def _mosquitto() -> str:
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        if os.environ.get("THEKEYS_REQUIRE_MOSQUITTO") == "1":
            pytest.fail("mosquitto is not installed, and THEKEYS_REQUIRE_MOSQUITTO=1 demands it")
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    return path


@attrs.define
class Mosquitto:
    """A broker as a process. It keeps what it was told only if it has a memory."""

    folder: Path
    port: int = attrs.field(factory=free_port)
    options: list[str] = attrs.field(factory=lambda: ["allow_anonymous true"])
    process: subprocess.Popen | None = None
    tls: ssl.SSLContext | None = None
    ca_file: Path | None = None

    @property
    def url(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://localhost:{self.port}"

    def remember(self) -> None:
        self.options += ["persistence true", f"persistence_location {self.folder}/"]

    def demand_password(self) -> None:
        file = self.folder / "passwords"
        file.touch()
        command = shutil.which("mosquitto_passwd")
        if command is None:
            pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
        subprocess.run([command, "-b", str(file), "bridge", PASSWORD], check=True, capture_output=True)
        file.chmod(0o644)
        self.options = ["allow_anonymous false", f"password_file {file}"]

    def speak_tls(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        self.ca_file = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self.folder / "cert.pem", append=True)
        self.options += [f"certfile {self.folder}/cert.pem", f"keyfile {self.folder}/key.pem"]
        self.tls = ssl.create_default_context(cafile=str(self.ca_file))

    def start(self) -> None:
        configuration = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", *self.options]
        if os.geteuid() == 0:
            lines.append("user root")
        configuration.write_text("\n".join(lines) + "\n")
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self.process = subprocess.Popen([_mosquitto(), "-c", str(configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "mosquitto.log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> None:
        """Let it write down what it remembers."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)
        self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not started yet."""
    _mosquitto()
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    mosquitto = Mosquitto(folder)
    yield mosquitto
    if mosquitto.process is not None:
        mosquitto.resume()
    mosquitto.kill()


class Listener:
    """A client on a thread of its own that notes all that it hears."""

    def __init__(self, broker: Mosquitto, *, password: str | None = None) -> None:
        self._changed = threading.Condition()
        self.heard: list[tuple[str, str, bool]] = []
        self.values: dict[str, str] = {}
        self._subscribed = 0
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if broker.tls:
            self._client.tls_set_context(broker.tls)
        if password:
            self._client.username_pw_set("bridge", password)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_message = self._received
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._confirmed
        self._client.connect("localhost", broker.port)
        self._client.loop_start()
        self.wait_for(lambda: self._subscribed)

    def _connected(self, client, *_) -> None:
        client.subscribe("#", options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _confirmed(self, *_) -> None:
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _received(self, _client, _data, message) -> None:
        with self._changed:
            payload = message.payload.decode(errors="replace")
            self.heard.append((message.topic, payload, message.retain))
            self.values[message.topic] = payload
            self._changed.notify_all()

    def said(self, topic: str) -> list[str]:
        with self._changed:
            return [payload for where, payload, _ in self.heard if where == topic]

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(20)

    def wait_for(self, condition: Callable[[], object], seconds: float = 60) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, seconds), dict(self.values)

    def wait_for_value(self, topic: str, value: str | None, seconds: float = 60) -> None:
        """Wait until a topic has a value; None is one that was emptied."""
        self.wait_for(lambda: (self.values.get(topic) or None) == value, seconds)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listen(broker: Mosquitto) -> Iterator[Callable[..., Listener]]:
    """Make clients of the broker, which are closed at the end."""
    listeners: list[Listener] = []

    def make(**options) -> Listener:
        listeners.append(Listener(broker, **options))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="a folder where pictures of the bridge's page are to be put")
