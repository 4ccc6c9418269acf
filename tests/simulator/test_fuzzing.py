"""Whatever is sent to a simulated gateway, it answers the next request, and moves no bolt without a signature."""

import json
from contextlib import suppress

import anyio
from hypothesis import example, given, settings, strategies as st

from tests.sample import LOCKER
from thekeys_async.simulator import Bolt, SimulatedGateway, SimulatedLocker

_firsts = st.sampled_from(
    [
        *(b"GET /lockers HTTP/1.1", b"POST /open HTTP/1.1", b"POST http://a/open/?b=c HTTP/1.1", b"HEAD / HTTP/1.1"),
        *(b"POST /locker_status HTTP/1.0", b"get /lockers http/1.1", b"GET", b"", b"PUT /open HTTP/1.1"),
        *(b"GET //// HTTP/1.1", b"GET * HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"POST /auto HTTP/1.1"),
    ]
)
_lines = st.sampled_from(
    [
        *(b"Host: a", b"Host: b", b"Content-Length: 9", b"Content-Length: -1", b"Content-Length: 99999999999999999999"),
        *(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Expect: x", b"Connection: close", b"Upgrade: h2c"),
        *(b"nonsense", b" folded", b"\xff: \xff", b"X: \x00", b"Content-Type: multipart/form-data"),
    ]
)
_bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"identifier=45961123&ts=1700000000&hash=x", b"5\r\na=b&c\r\n0\r\n\r\n", b"ffffffffff\r\n", b"&" * 500),
            *(b"identifier=" + b"9" * 400, b"%zz=%", b"ts=%d9%a1&identifier=45961123&hash=%00", b"enable=1&enable=0"),
        ]
    ),
)


def _written(first: bytes, lines: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([first, *lines, b"", body])


@given(st.one_of(st.binary(max_size=100), st.builds(_written, _firsts, st.lists(_lines, max_size=5), _bodies)))
@example(b"\r\n" * 1000)
@settings(max_examples=200)
def test_it_outlives_anything(data: bytes) -> None:
    async def run() -> None:
        locker = SimulatedLocker(LOCKER, share_code="x")
        async with SimulatedGateway([locker], light=0, bluetooth=0, restart=0) as sim:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream), anyio.fail_after(30):
                async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
                    await stream.send(data)
                    await stream.send_eof()
                    while await stream.receive():
                        pass
            async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
                await stream.send(b"GET /lockers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                reply = b""
                with suppress(anyio.EndOfStream), anyio.fail_after(30):
                    while True:
                        reply += await stream.receive()
            assert json.loads(reply.partition(b"\r\n\r\n")[2])["status"] == "ok"
            assert locker.state is Bolt.CLOSED

    anyio.run(run)
