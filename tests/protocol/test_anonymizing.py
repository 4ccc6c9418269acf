"""What may be sent to strangers: nothing in it tells whose gateway it is, and it is as well formed as it was."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from tests.sample import CODE, LOCKER
from thekeys_async.protocol.anonymizing import Anonymizer

_HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
_NAME = "Maison Dupont"
_ENCODED = {
    "as it is": str,
    "percent-encoded": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent-encoded twice": lambda text: quote("".join(f"%{byte:02X}" for byte in text.encode())),
    "escaped as in JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "escaped as in HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "escaped as in HTML, hexadecimal": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in the middle": lambda text: base64.b64encode(f"a{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "backwards": lambda text: text[::-1],
    "in capitals": str.upper,
}
_TOLD_BY_ANYBODY = [
    hex(LOCKER),
    f"{LOCKER:X}",
    f"0X{LOCKER:010X}",
    "45 961 123",
    "45.961.123",
    "45-96-11-23",
    "+33 6 12 34 56 78",
    "camille.martin@example.org",
    "gw-dupont.lan",
    "http://gw-dupont:8080/status",
    "123e4567-e89b-12d3-a456-426614174000",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "a4:cf:12:de:ad:be",
]
_TOLD_IN_A_FIELD = [_NAME, "Porte de Zoé", "Bob", "s3cr3t-Pass!", "Livebox-AB12", "TK-GW-123"]
_WORDS = ["status", "code", "message", "cause", "current_status"]


def _fit(body: str, headers: str = "") -> str:
    """Make a reply anonymous, and return its body, or all of it where headers are given."""
    reply = f"{_HEAD}{headers}\r\n{body}"
    fit = Anonymizer().reply(reply)
    assert len(fit) == len(reply)
    return fit if headers else fit.partition("\r\n\r\n")[2]


def _pieces(telling: str) -> Iterator[str]:
    """Cut what tells something into parts of which none may stay."""
    words = [word for word in re.split(r"[^0-9A-Za-z]+", telling) if len(word) > 3 and not word.isdigit()]
    yield from words
    yield telling


@pytest.mark.parametrize("encoding", _ENCODED)
@pytest.mark.parametrize("field", [*_WORDS, "echo"])
def test_a_code_that_nobody_knows_is_not_in_it_however_it_is_written(encoding: str, field: str) -> None:
    told = _ENCODED[encoding](CODE)
    assert told not in _fit(f'{{"status": "ko", "{field}": "no share {told} here"}}')
    assert told not in _fit(f"<html>no share {told} here</html>")
    assert told not in _fit("", f"Location: /login/{told}\r\n")
    assert told not in _fit("", f"Set-Cookie: session={told}\r\n")


@pytest.mark.parametrize("telling", _TOLD_BY_ANYBODY)
@pytest.mark.parametrize(
    "place", ['{{"cause": "at {} here"}}', '{{"echo": "at {} here"}}', '{{"echo": "{}"}}', "<p>{}</p>", "at {} here"]
)
def test_what_tells_whose_it_is_is_in_no_text(telling: str, place: str) -> None:
    fit = _fit(place.format(telling))
    assert not [piece for piece in _pieces(telling) if piece in fit and piece not in {"http", "status", "8080"}]


@pytest.mark.parametrize("telling", [*_TOLD_BY_ANYBODY, *_TOLD_IN_A_FIELD])
@pytest.mark.parametrize("place", ['{{"name": "{}"}}', '{{"devices": ["{}", {{"x": ["{}"]}}]}}', '{{"ssid": "{}'])
def test_fields_that_may_say_anything_say_nothing(telling: str, place: str) -> None:
    fit = _fit(place.format(telling, telling))
    assert not [piece for piece in _pieces(telling) if piece in fit]


@pytest.mark.parametrize("field", _WORDS)
def test_only_the_reply_itself_says_how_it_went(field: str) -> None:
    fit = json.loads(_fit(f'{{"{field}": "not found", "devices": [{{"{field}": "abcdefghijklmnop", "x": {{}}}}]}}'))
    assert fit[field] == "not found"
    assert fit["devices"][0][field] == "x" * 16
    fit = json.loads(_fit(f'{{"devices": [{{"x": [1]}}, []], "{field}": "not found"}}'))
    assert fit[field] == "not found"


@pytest.mark.parametrize("telling", [*_TOLD_BY_ANYBODY, *_TOLD_IN_A_FIELD])
@pytest.mark.parametrize("header", ["Set-Cookie", "X-Host", "ETag", "WWW-Authenticate", "X-Serial", "Via"])
def test_headers_that_may_say_anything_say_nothing(telling: str, header: str) -> None:
    fit = _fit("", f"{header}: {telling}\r\n")
    assert header in fit
    assert not [piece for piece in _pieces(telling) if piece in fit.replace(header, "")]


@pytest.mark.parametrize(
    "before",
    ["\r\n", "", "\ufeff".encode().decode("latin-1"), "<br />Notice: Undefined index in /srv/gw.php on line 3<br />\n"],
)
@pytest.mark.parametrize(
    ("head", "end"),
    [
        ("HTTP/1.1 200 OK", "\n"),
        ("HTTP/1.0 200", "\r\n"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "\r\n"),
        ("HTTP/1.1 100 Continue\n\nHTTP/1.1 102 Wait\nX: Dupont\n\nHTTP/1.1 200 OK", "\n"),
    ],
)
def test_heads_and_bodies_are_told_apart_however_they_are_written(head: str, end: str, before: str) -> None:
    lines = [head, "Content-Length: 12", "Set-Cookie: who=Dupont", "", f'{before}{{"name": "Dupont", "code": 0}}']
    reply = end.join(lines)
    fit = Anonymizer().reply(reply)
    assert len(fit) == len(reply)
    assert "Dupont" not in fit
    assert fit.startswith(head.replace("Dupont", "xxxxxx"))
    assert fit.endswith(', "code": 0}')
    assert f"Content-Length: 12{end}" in fit


@pytest.mark.parametrize("query", [f"hash={CODE}", "user=camille", "t=1"])
def test_the_query_of_a_redirect_is_not_told(query: str) -> None:
    assert f"Location: /login?{'x' * len(query)}\r\n" in _fit("", f"Location: /login?{query}\r\n")


@pytest.mark.parametrize("headers", ["Content-Encoding: gzip\r\n", "Content-Encoding:deflate\r\n", ""])
@pytest.mark.parametrize("body", ["\x1f\x8b\x08\0\x01abc", "x\x9c\x03\0abcd", "\xff\xfe" + "\0".join(str(LOCKER))])
def test_of_what_cannot_be_read_the_first_bytes_stay(headers: str, body: str) -> None:
    fit = _fit(body, headers or "X: y\r\n").partition("\r\n\r\n")[2]
    assert fit == body[:2] + "*" * (len(body) - 2)


@pytest.mark.parametrize(
    "plain",
    [
        '{"status": "ok", "code": 0}',
        '{ "status":"0" , "code":"ok"}\r\n\0',
        '{"status": "ko", "code": 33, "cause": "invalid hmac"}',
        '{"status": "ko", "code": 37, "cause": "ble connection_lost, 3 retries (err 12.5)"}',
        '{"status": "0x31", "code": "ok"}',
        '{"status": "500", "message": "busy"}',
        '{"status": "Door closed", "code": 49, "version": 81, "position": 20, "rssi": -70, "battery": 7235}',
        '{"status": "ok", "devices": [{"rssi": "-71", "battery": "0x1B58", "last_log": 100000}], "uptime": 12345}',
        '{"hardware": "1.5.1", "build": "v2.0", "powered": "ESP/3", "uptime": "12345", "count": 54321}',
        '{"version": "16", "current_status": "Scanning...", "odd": [1, null, true, "x", 1.5, {"on": "off"}]}',
        "<html><head><title>FRITZ!Box 7590</title></head><body>Internal Server Error</body></html>",
        "<p>The requested URL /locker_status was not found on this server (nginx/1.24.0)</p>",
    ],
)
def test_what_a_recording_is_for_stays(plain: str) -> None:
    assert _fit(plain) == plain
    headers = (
        "Content-Type: application/json; charset=utf-8\r\nServer: Microsoft-IIS/10.0\r\nConnection: Keep-Alive\r\n"
        "keep-alive: timeout=5, max=100\r\nDate: Wed, 25 Nov 2026 17:07:00 GMT\r\nTransfer-Encoding: identity\r\n"
        "Location: /elsewhere\r\nX-Odd: a\r\nX-Powered-By: PHP/7.4\r\nX-Count: 12345\r\nX-Version:v1.2.3\r\n"
    )
    assert _fit(plain, headers) == f"{_HEAD}{headers}\r\n{plain}"


@pytest.mark.parametrize("write", [str, hex, lambda number: f'"{number}"', lambda number: f"{number}.0"])
def test_an_identifier_is_the_same_other_one_however_it_is_written(write: Callable[[int], str]) -> None:
    anonymizer = Anonymizer()
    other = int(anonymizer.number(str(LOCKER)))
    written = write(LOCKER)
    value = f'"{written}"' if written.startswith("0x") else written
    body = f'{{"identifier": {value}, "id": {value}, "cause": "Synchronizing {written.strip(chr(34))}"}}'
    fit = anonymizer.reply(f"{_HEAD}\r\n{body}").partition("\r\n\r\n")[2]
    told = json.loads(fit)
    read = {int(float(text)) if "." in text else int(text, 0) for text in map(str, (told["identifier"], told["id"]))}
    assert read == {other}
    assert len(fit) == len(body)
    assert str(LOCKER) not in fit


def test_one_text_is_always_replaced_by_one_other() -> None:
    fit = json.loads(_fit('{"a": "Dupont", "b": " Dupont ", "c": "Martin", "d": ["Dupont"]}'))
    assert fit["a"] == fit["b"].strip() == fit["d"][0]
    assert fit["c"] != fit["a"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _shape(value: object) -> object:
    match value:
        case dict():
            return [_shape(each) for each in value.values()]
        case list():
            return [_shape(each) for each in value]
        case _:
            return type(value)


@given(st.dictionaries(st.text(st.characters(max_codepoint=0x7A, min_codepoint=0x5B), max_size=6), _JSON, max_size=4))
def test_json_has_the_same_shape(value: dict[str, object]) -> None:
    for written in (json.dumps(value), json.dumps(value, ensure_ascii=False).encode().decode("latin-1")):
        fit = _fit(written)
        if "*" not in fit and "\\u" not in written:  # control characters would have made it one that can't be read
            assert _shape(json.loads(fit)) == _shape(json.loads(written))


@given(st.text(st.characters(max_codepoint=0xFF)), st.sampled_from(["", "{", '{"cause": "', "\x1f\x8b"]))
def test_anything_at_all_is_as_long_as_it_was(text: str, before: str) -> None:
    _fit(before + text)
    _fit("", f"{text}\r\n" if text else "")


def test_the_longest_reply_ends() -> None:
    """Hangs, and is ended, if a pattern backtracks."""
    program = """
from thekeys_async.protocol.anonymizing import Anonymizer
for before in ("", '{"cause": "', '{"x": ["', "["):
    for piece in (
        *("x", "x1", "%41", " ", "1 ", "1-", "0x", "a.", "a@", "ab:", "00:", "f1", "1e", "a://", "x" * 63 + "."),
        *("\\\\u0041", "&#65;", '"', "\\\\", '\\\\"', '"a":', '"a" ', '"identifier" ', '{"identifier":12345},'),
    ):
        Anonymizer().reply("HTTP/1.1 200 OK\\r\\n\\r\\n" + before + piece * (60_000 // len(piece)))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
