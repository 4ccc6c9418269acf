"""The connection to a real broker: it is killed, forgets, hangs, wants TLS and a password; on both event loops."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import attrs
import pytest
import trustme
from anyio import to_thread

from thekeys_async.bridge.broker import FIRST_PAUSE, LONGEST_PAUSE, Backoff, Broker
from thekeys_async.bridge.broker_address import BrokerAddress
from thekeys_async.bridge.broker_link import Message, TopicSubscription
from thekeys_async.bridge.retained import RetainedTopics
from thekeys_async.protocol.secrets import Secret

from .conftest import PASSWORD

pytestmark = pytest.mark.anyio


@attrs.define
class Session:
    """Notes what it is told."""

    broker: Broker | None = None
    connects: int = 0
    losses: int = 0
    heard: list[Message] = attrs.field(factory=list)
    changed: anyio.Event = attrs.field(factory=anyio.Event)

    def connected(self) -> None:
        self.connects += 1
        self.broker.publish_all()
        self._wake()

    def received(self, message: Message) -> None:
        self.heard.append(message)
        self._wake()

    def disconnected(self) -> None:
        self.losses += 1
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, condition) -> None:
        with anyio.fail_after(20):
            while not condition():
                await self.changed.wait()


@asynccontextmanager
async def _connected(mosquitto, retained: RetainedTopics, **who) -> AsyncIterator[tuple[Broker, Session]]:
    session = Session()
    address = attrs.evolve(BrokerAddress.parse(mosquitto.url), ca_file=mosquitto.ca_file, **who)
    subscriptions = (TopicSubscription("in/#"), TopicSubscription("echo", own=True))
    broker = Broker(address, retained, subscriptions, session, will=("state", "offline"), client_id="bridge-1")
    session.broker = broker
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broker.run)
        yield broker, session
        tasks.cancel_scope.cancel()


async def _logged(caplog, words: str) -> None:
    with anyio.fail_after(20):
        while words not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await anyio.sleep(0.01)


def _retained(**values: str) -> RetainedTopics:
    retained = RetainedTopics()
    for topic, value in values.items():
        retained.set(topic, value)
    return retained


async def test_what_the_picture_says_is_kept_by_the_broker_and_news_follow(broker, listen):
    broker.start()
    retained = _retained(state="online", **{f"t{number}": "x" for number in range(100)})
    async with _connected(broker, retained) as (link, session):
        await session.until(lambda: session.connects)
        await link.flush()
        listener = await to_thread.run_sync(listen)
        await to_thread.run_sync(listener.wait_for, lambda: len(listener.values) == 101)
        assert all(retained for _, _, retained in listener.heard)
        retained.set("t1", "y")
        link.wake()
        await to_thread.run_sync(listener.wait_for_value, "t1", "y")
        assert link.is_connected


async def test_messages_are_heard_and_own_ones_only_where_that_is_wanted(broker, listen):
    broker.start()
    listener = await to_thread.run_sync(listen)
    await to_thread.run_sync(lambda: listener.publish("in/old", "kept", retain=True))
    async with _connected(broker, _retained()) as (link, session):
        await session.until(lambda: session.heard)
        assert session.heard == [Message("in/old", b"kept", retained=True)]
        await to_thread.run_sync(lambda: listener.publish("in/new", "live", retain=True))
        await session.until(lambda: session.heard[1:])
        assert session.heard[1] == Message("in/new", b"live", retained=True)
        assert link.publish("in/own", "not heard")
        assert link.publish("echo", "heard")
        await session.until(lambda: session.heard[2:])
        assert session.heard[2] == Message("echo", b"heard", retained=False)


async def test_a_broker_that_is_killed_and_forgets_everything_is_told_again(broker, listen, caplog):
    broker.start()
    retained = _retained(a="1", b="2")
    with caplog.at_level(logging.WARNING, "thekeys_async.bridge"):
        async with _connected(broker, retained) as (link, session):
            await session.until(lambda: session.connects)
            await link.flush()
            await to_thread.run_sync(broker.kill)
            await session.until(lambda: session.losses)
            assert not link.is_connected
            assert not link.publish("echo", "nobody there")
            for number in range(1000):
                retained.set("a", str(number))
            await to_thread.run_sync(broker.start)
            await session.until(lambda: session.connects == 2)
            await link.flush()
            listener = await to_thread.run_sync(listen)
            await to_thread.run_sync(listener.wait_for, lambda: len(listener.values) == 2)
            assert listener.values == {"a": "999", "b": "2"}
    assert "no connection to the broker" in caplog.text


async def test_when_it_ends_in_order_there_is_no_will_and_when_it_is_cut_off_there_is(broker, listen):
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with _connected(broker, _retained(state="online")) as (link, session):
        await session.until(lambda: session.connects)
        await link.flush()
        link.drop("as a test")  # a new connection is made, and says it again
        await session.until(lambda: session.connects == 2)
        await link.flush()
    await to_thread.run_sync(lambda: listener.publish("last", "one"))
    await to_thread.run_sync(listener.wait_for_value, "last", "one")
    assert listener.said("state") == ["online", "offline", "online"]


async def test_a_password_is_sent_and_a_wrong_one_is_said_without_it(broker, listen, caplog):
    broker.demand_password()
    broker.start()
    async with _connected(broker, _retained(), username="bridge", password=Secret(PASSWORD)) as (_, session):
        await session.until(lambda: session.connects)
    with caplog.at_level(logging.DEBUG):
        async with _connected(broker, _retained(), username="bridge", password=Secret("Wrong-1234")) as (link, session):
            await _logged(caplog, "uthorized")
            assert not link.is_connected
    assert "Wrong-1234" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_over_tls_with_the_broker_s_own_authority(broker, listen):
    broker.speak_tls()
    broker.start()
    text = "x" * 60_000  # more than a TLS record, so that something is left in its buffer
    async with _connected(broker, _retained(big=text)) as (link, session):
        await session.until(lambda: session.connects)
        await link.flush()
        listener = await to_thread.run_sync(listen)
        await to_thread.run_sync(listener.wait_for_value, "big", text)
        for number in range(30):
            await to_thread.run_sync(lambda n=number: listener.publish(f"in/{n}", text, qos=0))
        await session.until(lambda: len(session.heard) == 30)


async def test_a_broker_whose_certificate_is_another_s_gets_nothing(broker, caplog):
    broker.speak_tls()
    broker.start()
    trustme.CA().cert_pem.write_to_path(broker.ca_file)
    with caplog.at_level(logging.WARNING, "thekeys_async.bridge"):
        async with _connected(broker, _retained(), username="bridge", password=Secret(PASSWORD)) as (link, _):
            await _logged(caplog, "not to be trusted")
            assert not link.is_connected


async def test_a_broker_that_hangs_costs_no_memory_and_is_left(broker):
    broker.start()
    retained = _retained(a="1")
    async with _connected(broker, retained) as (link, session):
        await session.until(lambda: session.connects)
        await link.flush()
        broker.pause()
        for number in range(300):
            retained.set(f"t{number}", "x" * 10_000)
        link.wake()
        sent = 0
        for number in range(5000):  # until the sockets are full
            sent += link.publish("echo", "y" * 10_000)
            if number % 100 == 0:
                await anyio.lowlevel.checkpoint()
        assert sent < 5000
        assert link._link.unacknowledged <= 20
        link.drop("as a test")
        await session.until(lambda: session.losses)
        broker.resume()
        await session.until(lambda: session.connects == 2)
        await link.flush()


def test_pauses_grow_to_half_a_minute_and_differ():
    backoff = Backoff()
    pauses = [backoff.failed() for _ in range(12)]
    for number, pause in enumerate(pauses):
        whole = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        assert whole / 2 <= pause <= whole
    assert pauses[-1] >= 15
    assert len({Backoff().failed() for _ in range(20)}) > 10
    backoff.succeeded()
    assert backoff.failed() <= FIRST_PAUSE


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", ("broker", 1883, False)),
        ("mqtts://broker", ("broker", 8883, True)),
        ("mqtt://[::1]:1884/", ("::1", 1884, False)),
    ],
)
def test_addresses(url, expected):
    address = BrokerAddress.parse(url)
    assert (address.host, address.port, address.tls) == expected


def test_a_password_in_an_address_shows_nowhere():
    address = BrokerAddress.parse("mqtt://user:geheim%21word@host")
    assert address.password.reveal() == "geheim!word"
    assert "geheim" not in f"{address!r} {address}"
    with pytest.raises(ValueError) as caught:
        BrokerAddress.parse("http://user:geheim@host")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "broker", "http://x", "mqtt://", "mqtt://x:0", "mqtt://x:99999", "mqtt://x/topic"])
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="mqtt://HOST"):
        BrokerAddress.parse(url)


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("mqtt://localhost", False),
        ("mqtt://127.0.0.1", False),
        ("mqtt://[::1]", False),
        ("mqtt://192.168.0.2", True),
        ("mqtt://broker", True),
        ("mqtts://broker", False),
    ],
)
def test_beyond_loopback_without_tls_is_exposed(url, exposed):
    assert BrokerAddress.parse(url).is_exposed is exposed


def test_tls_checks_names_and_certificates():
    context = BrokerAddress.parse("mqtts://broker").context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
