"""A gateway in virtual time: a wire without sockets, for what takes minutes or needs a clock that tests move."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import anyio
import attrs
import pytest
import trio.testing

from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import SignedRequest
from thekeys_async.transport.wire import Attempt, Prepare


@attrs.frozen
class Sent:
    """A request that has left.

    Attributes:
        path: What was asked.
        timestamp: Its timestamp, if it is signed.
        at: When it left, in the event loop's time.
    """

    path: str
    timestamp: int | None
    at: float


@attrs.define(eq=False)
class ScriptedWire:
    """Answers what a script says; takes the place of a gateway's own wire.

    Attributes:
        script: Makes the body of the answer to a request.
        connecting: Seconds that a connection takes before anything is sent.
        sent: All that has left, in order.
    """

    script: Callable[[Sent], Awaitable[bytes]]
    connecting: float = 0.0
    sent: list[Sent] = attrs.field(factory=list)

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        await anyio.sleep(self.connecting)
        sent = _as_sent(prepare())
        attempt.sent = True
        self.sent.append(sent)
        return Reply(200, await self.script(sent))

    def drop(self) -> None:
        """Nothing is kept."""

    def paths(self) -> list[str]:
        return [sent.path for sent in self.sent]


def _as_sent(outgoing: SignedRequest) -> Sent:
    timestamps = parse_qs(outgoing.body.decode()).get("ts")
    return Sent(outgoing.path, int(timestamps[0]) if timestamps else None, anyio.current_time())


@pytest.fixture
def scripted_wire() -> type[ScriptedWire]:
    """The class, as tests import nothing from each other."""
    return ScriptedWire


@pytest.fixture
def in_virtual_time() -> tuple[str, dict]:
    """What a module's `anyio_backend` returns for a clock that jumps to whatever is waited for."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
