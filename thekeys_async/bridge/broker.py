"""The connection to the MQTT broker: made again whenever it is lost, on whatever event loop anyio runs.

Retained messages come out of `RetainedTopics`, so a broker that is slow or away costs no memory.
"""

import logging
import random
from typing import Final

import anyio
import attrs
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from thekeys_async.bridge.broker_address import BrokerAddress
from thekeys_async.bridge.broker_link import CONNECTING, Link, Session, TopicSubscription, open_connection
from thekeys_async.bridge.retained import RetainedTopics
from thekeys_async.protocol.text import printable

_log = logging.getLogger("thekeys_async.bridge")

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 30.0

_MOST_DOUBLINGS: Final = 16
_LASTS: Final = 5.0


@attrs.define
class Backoff:
    """Pauses that double from 0.2 s to 30 s; each is shortened by up to a half, so that clients do not come at once.

    Attributes:
        failures: The number of failures in a row.
    """

    failures: int = 0

    def failed(self) -> float:
        """Note a failure.

        Returns:
            Seconds to wait.
        """
        pause: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures, _MOST_DOUBLINGS))
        self.failures += 1
        return pause * random.uniform(0.5, 1)  # noqa: S311 - not a secret

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0


class Broker:
    """Keeps a connection to a broker.

    Args:
        address: The broker's address, and the account to use there.
        retained: The topics that it is to keep.
        subscriptions: The topics to subscribe to.
        session: Takes connections and messages.
        will: Topic and text that the broker publishes, to be kept, when the connection is lost.
        client_id: Our name there; two clients of one id would throw each other out for ever.
    """

    def __init__(
        self,
        address: BrokerAddress,
        retained: RetainedTopics,
        subscriptions: tuple[TopicSubscription, ...],
        session: Session,
        *,
        will: tuple[str, str],
        client_id: str,
    ) -> None:
        self._address = address
        self._retained = retained
        self._subscriptions = subscriptions
        self._session = session
        self._will = will
        self._client_id = client_id
        self._link: Link | None = None
        self._told: str | None = None
        self.connects = 0
        """How many connections there were."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker takes messages."""
        return self._link is not None

    async def run(self) -> None:
        """Keep the connection, for ever."""
        backoff = Backoff()
        while True:
            began = anyio.current_time()
            why = await self._connect_once()
            self._tell(why)
            if anyio.current_time() - began >= _LASTS:
                backoff.succeeded()
            await anyio.sleep(backoff.failed())

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> bool:
        """Publish a message that is not one of the retained topics, with QoS 0.

        Returns:
            Whether it is on its way; not if there is no connection, or the broker does not take what was said before.
        """
        return self._link is not None and self._link.publish_now(topic, payload, retain=retain)

    def publish_all(self) -> None:
        """Publish all retained topics, and from now on every change of them. Before that, none is published."""
        if self._link is not None:
            self._link.publishes = True
            self._retained.repeat_all()
            self._link.wakeup.set()

    def wake(self) -> None:
        """Publish what has changed in the retained topics."""
        if self._link is not None:
            self._link.wakeup.set()

    def unsubscribe(self, filters: tuple[str, ...]) -> None:
        """Unsubscribe from these topics, until the next connection."""
        if self._link is not None:
            self._link.client.unsubscribe(list(filters))

    def drop(self, why: str) -> None:
        """Close the connection and make a new one: it is open, but nothing comes through."""
        if self._link is not None:
            self._link.lose(why)

    async def flush(self) -> None:
        """Wait until the broker has confirmed all retained topics; return at once if there is no connection."""
        while (link := self._link) is not None and link.publishes and (self._retained.unsent or link.unacknowledged):
            self.wake()
            await link.next_change()

    async def _connect_once(self) -> str:
        try:
            client = self._make_client()
        except OSError as error:
            return f"{self._address.ca_file} can't be used ({error.strerror or type(error).__name__})"
        link = Link(client, self._retained)
        try:
            if (problem := await open_connection(client, self._address)) is not None:
                return problem
            async with anyio.create_task_group() as tasks:
                link.begin(tasks)
                with anyio.move_on_after(CONNECTING) as connecting:
                    await link.opened.wait()
                    await link.subscribe(self._subscriptions)
                if connecting.cancelled_caught:
                    link.lose("it does not answer")
                if link.lost_because is None:
                    self._begin(link)
                    await anyio.sleep_forever()
            return link.lost_because or "the connection was closed"
        finally:
            was_there, self._link = self._link is not None, None
            link.close()
            if was_there:
                self._session.disconnected()

    def _begin(self, link: "Link") -> None:
        _log.info("connected to the broker %s", self._address)
        self._told = None
        self.connects += 1
        self._link = link
        link.tell(self._session)

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECTING / 2
        if self._address.tls:
            client.tls_set_context(self._address.context())  # pyright: ignore[reportUnknownMemberType]
        if self._address.username is not None:
            secret = self._address.password
            client.username_pw_set(self._address.username, None if secret is None else secret.reveal())
        client.will_set(*self._will, qos=1, retain=True)
        return client

    def _tell(self, why: str) -> None:
        """Say once why there is no connection; a broker may be away for days."""
        words = printable(why)
        _log.log(logging.DEBUG if words == self._told else logging.WARNING, "no connection to the broker: %s", words)
        self._told = words
