"""What a gateway says reaches messages, logs and exceptions masked, printable and bounded."""

import json
import logging
import re
from urllib.parse import parse_qs

import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, InvalidHmacError, Pacing

pytestmark = pytest.mark.anyio
_FORMS = {
    "plain": lambda secret: secret,
    "URL-safe": lambda secret: secret.replace("+", "-").replace("/", "_"),
    "with spaces": lambda secret: secret.replace("+", " "),
    "cut": lambda secret: secret[:15],
    "cut at its head": lambda secret: secret[-15:],
}


def _answer(body: object) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text


@pytest.mark.parametrize("form", _FORMS)
async def test_an_echoed_hash_is_nowhere(serve, caplog, form):
    hashes = []

    async def echo(stream, _count):
        body = seen.requests[-1].partition(b"\r\n\r\n")[2].decode()
        hashes.append(parse_qs(body)["hash"][0])
        shown = _FORMS[form](hashes[-1])
        await stream.send(_answer({"status": "ko", "code": 33, "cause": f"bad hash {shown} for {CODE}"}))

    caplog.set_level(logging.DEBUG)
    async with serve(echo) as seen, AsyncGateway(seen.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway:
        with pytest.raises(InvalidHmacError) as caught:
            await gateway.locker(1).open(timeout=1)
    told = f"{caught.value} {caught.value.cause} {caplog.text}"
    for each in map(_FORMS[form], hashes):
        assert not any(each[i : i + 8] in told for i in range(len(each) - 7))
    assert CODE not in told


async def test_words_are_one_printable_line(serve, caplog):
    hostile = "\x1b]0;title\x07\x1b[31mred\r\n2026-01-01 ERROR forged " + "x " * 1000

    async def refuse(stream, _count):
        if b"/status" in seen.requests[-1]:
            await stream.send(_answer({"version": 17, "current_status": hostile}))
        else:
            await stream.send(_answer({"status": "ko", "code": 36, "cause": hostile}))

    caplog.set_level(logging.DEBUG)
    async with (
        serve(refuse) as seen,
        AsyncGateway(seen.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway,
    ):
        status = await gateway.status()
        with pytest.raises(Exception, match="refused the key") as caught:
            await gateway.locker(1).open()
    for text in (status.phase, str(caught.value), caught.value.cause, *(r.getMessage() for r in caplog.records)):
        assert text.isprintable()
        assert len(text) < 500
        assert not re.search(r"\x1b|\n|\r", text)
