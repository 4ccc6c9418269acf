"""A command whose answer can be read does not end unknown, however oddly the answer is framed."""

import pytest

from tests.protocol.odd_replies import ODD
from thekeys_async import AsyncGateway, OutcomeUnknownError, Pacing, Timestamps

pytestmark = pytest.mark.anyio


def connect(address: str, **settings) -> AsyncGateway:
    return AsyncGateway(
        address, share_codes={1: "x"}, pacing=Pacing(0, 0), timestamps=Timestamps(max_lead=1e6), **settings
    )


async def test_a_command_ends_unknown_only_where_its_answer_cannot_be_read(serve):
    async def script(stream, number):
        await stream.send(ODD[number - 1].data)
        await stream.aclose()

    async with serve(script) as server, connect(server.address) as gateway:
        for odd in ODD:
            if odd.read:
                await gateway.locker(1).open()
            else:
                with pytest.raises(OutcomeUnknownError) as caught:
                    await gateway.locker(1).open()
                assert caught.value.may_have_executed, odd.name
    assert len(server.requests) == server.connections == len(ODD)


@pytest.mark.parametrize("odd", [odd for odd in ODD if "gzip" in odd.name and not odd.read], ids=lambda odd: odd.name)
async def test_compression_is_not_asked_for_and_called_by_its_name(serve, odd):
    async def script(stream, number):
        await stream.send(odd.data)
        await stream.aclose()

    async with serve(script) as server, connect(server.address) as gateway:
        with pytest.raises(OutcomeUnknownError, match="not asked for"):
            await gateway.locker(1).open()
    assert b"accept-encoding" not in server.requests[0].lower()
