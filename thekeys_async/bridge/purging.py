"""`thekeys bridge --purge`: every retained topic of a bridge is emptied, also of lockers that it no longer knows."""

import secrets
from typing import Final

import anyio

from thekeys_async.bridge import clocks
from thekeys_async.bridge.broker import Broker
from thekeys_async.bridge.broker_link import Message, TopicSubscription
from thekeys_async.bridge.discovery import is_ours
from thekeys_async.bridge.errors import BrokerUnreachableError
from thekeys_async.bridge.heartbeat import Heartbeat
from thekeys_async.bridge.plan import BridgePlan
from thekeys_async.bridge.retained import RetainedTopics
from thekeys_async.bridge.topics import ONLINE, Topics

_SECONDS: Final = 30.0


class Purge:
    """Reads back what the broker keeps, and empties what is ours.

    Args:
        plan: The bridge's settings: its broker and its prefix.

    Attributes:
        emptied: The topics that were emptied.
        is_alive: Whether a bridge of this prefix was there.
    """

    def __init__(self, plan: BridgePlan) -> None:
        self.emptied: list[str] = []
        self.is_alive = False
        self._topics: Topics = plan.topics
        self._retained = RetainedTopics(plan.topics.rank)
        self._heartbeat = Heartbeat()
        self._read_all = anyio.Event()
        filters = (plan.topics.state, plan.topics.info, *plan.topics.states(), *plan.topics.only_left_behind())
        self._broker = Broker(
            plan.broker,
            self._retained,
            (TopicSubscription(plan.topics.echo, own=True), *(TopicSubscription(each) for each in filters)),
            self,
            will=(plan.topics.state, ""),
            client_id=f"thekeys-purge-{secrets.token_hex(8)}",
        )

    async def run(self) -> None:
        """Empty them all.

        Raises:
            BrokerUnreachableError: The broker could not be reached, or does not hand out what it keeps.
        """
        done = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._broker.run)
            with anyio.move_on_after(_SECONDS):
                await self._read_all.wait()
                self._broker.publish_all()
                await self._broker.flush()
                done = self._broker.is_connected
            tasks.cancel_scope.cancel()
        if not done:
            raise BrokerUnreachableError("the broker could not be reached, or does not hand out what it keeps")

    def connected(self) -> None:
        """Ask for an echo: it comes after all that the broker keeps."""
        self._broker.publish(self._topics.echo, self._heartbeat.beat(clocks.now()))

    def disconnected(self) -> None:
        """Try again."""

    def received(self, message: Message) -> None:
        """Take what the broker keeps."""
        if message.topic == self._topics.echo:
            if self._heartbeat.echoed(message.payload.decode(errors="replace"), clocks.now()):
                self._read_all.set()
        elif message.payload and self._is_ours(message) and not self._read_all.is_set():
            if message.topic == self._topics.state:
                self.is_alive = message.payload == ONLINE.encode()
            self.emptied.append(message.topic)
            self._retained.set(message.topic, "")

    def _is_ours(self, message: Message) -> bool:
        topics = self._topics
        return (
            message.topic in {topics.state, topics.info}
            or topics.is_own_state(message.topic)
            or is_ours(message.payload, topics.prefix)
        )
