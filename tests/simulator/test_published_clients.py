"""What published clients send, byte by byte, and that the simulated gateway answers as they need it.

The requests are facts: method, path, headers and body as each client puts them on the wire. None of their code is here.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from itertools import count
from urllib.parse import quote, urlencode

import anyio
import attrs
import pytest

from tests.sample import CODE, LOCKER

pytestmark = pytest.mark.anyio

FORM = "Content-Type: application/x-www-form-urlencoded"

Form = dict[str, str]
Asked = tuple[str, str, str | None]
"""A method, a path, and the body; None is a request without one."""


def raw(form: Form, *names: str, end: str = "") -> str:
    """The fields in this order, with the hash as it is."""
    return "&".join(f"{name}={form[name]}" for name in names) + end


def encoded(form: Form, *names: str) -> str:
    return urlencode({name: form[name] for name in names})


@attrs.frozen
class Client:
    """How one client sends.

    Attributes:
        name: Which client.
        headers: What it says beside the host.
        signed: How it writes the body of a signed request.
        more: What else it asks, by what it calls that.
        signed_paths: Where its signed requests go, by what it calls them.
        chunked: Whether the body comes in chunks.
        split: Whether head and body leave in two packets.
        waits: Whether it waits for an interim answer before the body.
    """

    name: str
    headers: tuple[str, ...]
    signed: Callable[[Form], str]
    more: Mapping[str, Asked] = attrs.field(factory=dict)
    signed_paths: Mapping[str, str] = attrs.field(
        factory=lambda: {"open": "/open", "close": "/close", "status": "/locker_status"}
    )
    chunked: bool = False
    split: bool = False
    waits: bool = False


_LISTS: dict[str, Asked] = {"search": ("GET", "/lockers", None), "synchronize": ("GET", "/synchronize", None)}
_IDENTIFIER = f"identifier={LOCKER}"
_NODE = ("Connection: close",)

CLIENTS = (
    Client(
        "the vendor's page, curl",
        ("User-Agent: curl/8.5.0", "Accept: */*", FORM),
        lambda form: raw(form, "identifier", "hash", "ts"),
        {
            **_LISTS,
            "status": ("GET", "/status", None),
            "update": ("GET", "/update", None),
            "synchronize_locker": ("POST", "/locker/synchronize", _IDENTIFIER),
            "update_locker": ("POST", "/locker/update", _IDENTIFIER),
        },
    ),
    Client(
        "curl, waiting for 100",
        ("User-Agent: curl/7.29.0", "Accept: */*", FORM),
        lambda form: raw(form, "identifier", "hash", "ts"),
        waits=True,
    ),
    Client(
        "the vendor's demo",
        (
            "User-Agent: python-requests/2.32.3",
            "Accept-Encoding: gzip, deflate",
            "Accept: */*",
            "Connection: keep-alive",
            FORM,
        ),
        lambda form: encoded(form, "hash", "identifier", "ts"),
        {
            **_LISTS,
            "status": ("GET", "/status", None),
            "update": ("POST", "/update", ""),
            "synchronize_locker": ("POST", "/locker/synchronize", _IDENTIFIER),
            "update_locker": ("POST", "/locker/update", _IDENTIFIER),
        },
        split=True,
    ),
    Client(
        "the vendor's Domoticz plugin",
        ("Accept-Encoding: identity", FORM, "User-Agent: Python-urllib/3.11", "Connection: close"),
        lambda form: encoded(form, "hash", "identifier", "ts"),
        {
            "search": ("GET", "/lockers", None),
            "auto on": ("POST", "/auto", "enable=1"),
            "auto off": ("POST", "/auto", "enable=0"),
        },
        {"open": "/open", "close": "/close", "calibrate": "/calibrate", "status": "/locker_status"},
        split=True,
    ),
    Client(
        "the vendor's eedomus script",
        ("Accept: */*", FORM),
        lambda form: raw(form, "hash", "identifier", "ts"),
    ),
    Client(
        "the-keyspy",
        (
            "User-Agent: python-requests/2.32.3",
            "Accept-Encoding: gzip, deflate",
            "Accept: */*",
            "Connection: keep-alive",
            FORM,
        ),
        lambda form: encoded(form, "identifier", "ts", "hash"),
        {
            "status": ("GET", "/status", None),
            "synchronize": ("GET", "/synchronize", None),
            "update": ("POST", "/update", "fake=True"),
        },
        {
            "open": "/open",
            "close": "/close",
            "calibrate": "/calibrate",
            "status": "/locker_status",
            "synchronize_locker": "/locker/synchronize",
            "update_locker": "/locker/update",
        },
        split=True,
    ),
    Client(
        "the npm client",
        (FORM, *_NODE),
        lambda form: raw(form, "identifier", "ts", "hash"),
        signed_paths={
            "unlock": "/open",
            "lock": "/close",
            "lockerStatus": "/locker_status",
            "info": "/lockers",
            "status": "/status",
        },
    ),
    Client(
        "the openHAB binding",
        ("Accept-Encoding: gzip", "User-Agent: Jetty/9.4.54.v20240208", FORM),
        lambda form: raw(form, "identifier", "ts", "hash"),
        {
            **_LISTS,
            "infos": ("GET", "/", None),
            "synchronizeLock": ("GET", "/locker/synchronize", None),
        },
        chunked=True,
    ),
    Client(
        "Jeedom's plugin",
        ("Accept: */*", FORM),
        lambda form: raw(form, "hash", "identifier", "ts", end="&"),
        _LISTS,
        {"open": "/open", "close": "/close"},
    ),
    Client(
        "the Node-RED node",
        _NODE,
        lambda form: raw(form, "identifier", "ts", "hash"),
        {"lockers": ("GET", "/lockers", None)},
    ),
    Client(
        "homebridge",
        (FORM.lower(), *_NODE),
        lambda form: raw(form, "identifier", "ts", "hash"),
        signed_paths={"open": "/open", "close": "/close"},
    ),
    Client(
        "a page served by node-fetch",
        ("Content-Type: text/plain;charset=UTF-8", "Accept: */*", "Accept-Encoding: gzip,deflate", *_NODE),
        lambda form: raw(form | {"hash": f"{form['hash']}="}, "identifier", "hash", "ts"),  # with one = too many
    ),
    Client(
        "lower-case hexadecimal, HTTP/1.0",
        (FORM,),
        lambda form: raw(
            form | {"hash": quote(form["hash"], safe="").replace("%2B", "%2b").replace("%2F", "%2f")},
            "identifier",
            "ts",
            "hash",
        ),
    ),
)


def signed_form(timestamps) -> Form:
    """A signed request whose hash has a plus and a slash, so that every way of writing it shows."""
    for timestamp in timestamps:
        digest = hmac.new(CODE.encode(), str(timestamp).encode(), hashlib.sha256).digest()
        form = {"identifier": str(LOCKER), "ts": str(timestamp), "hash": base64.b64encode(digest).decode()}
        if {"+", "/"} <= set(form["hash"]):
            return form
    raise AssertionError


def written(client: Client, sim, asked: Asked) -> tuple[bytes, bytes]:
    """Write a request down as the client does: its head and its body."""
    method, path, body = asked
    version = "1.0" if "1.0" in client.name else "1.1"
    lines = [f"{method} {path} HTTP/{version}", f"Host: {sim.address}", *client.headers]
    data = b"" if body is None else body.encode()
    if body is None:
        lines = [line for line in lines if not line.lower().startswith("content-type")]
    elif client.chunked:
        lines.append("Transfer-Encoding: chunked")
        data = b"%X\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    else:
        lines.append(f"Content-Length: {len(data)}")
    if client.waits and body:
        lines.append("Expect: 100-continue")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode(), data


async def ask(client: Client, sim, asked: Asked) -> tuple[bytes, dict[str, object]]:
    """Send a request as the client does; give back the head of the reply, and its JSON."""
    head, body = written(client, sim, asked)
    host, port = sim.address.split(":")
    received = b""
    with anyio.fail_after(30):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            if client.split or client.waits:
                await stream.send(head)
                if client.waits and body:
                    assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
                if body:
                    await stream.send(body)
            else:
                await stream.send(head + body)
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                received += await stream.receive()
    top, _, text = received.partition(b"\r\n\r\n")
    return top, json.loads(text)


SIGNED = [(client, call) for client in CLIENTS for call in client.signed_paths]
MORE = [(client, call) for client in CLIENTS for call in client.more]


def _name(value: object) -> str:
    return value.name if isinstance(value, Client) else str(value)


@pytest.mark.parametrize(("client", "call"), SIGNED, ids=_name)
async def test_a_signed_request_is_carried_out(sim, client, call):
    path = client.signed_paths[call]
    timestamps = count(1_700_000_000)
    for _ in range(3):
        head, answer = await ask(client, sim, ("POST", path, client.signed(signed_form(timestamps))))
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        match path:
            case "/lockers":
                assert answer["devices"][0]["identifier"] == LOCKER  # a number: one client compares without casting
            case "/status":
                assert set(answer) == {"version", "current_status"}
            case "/locker_status":
                assert (answer["status"], answer["code"]) == ("Door closed", 49)
            case _:
                assert answer == {"status": "ok", "code": 0}
    assert [record.code for record in sim.requests] == [0] * 3


@pytest.mark.parametrize(("client", "call"), MORE, ids=_name)
async def test_what_else_it_asks_is_answered(sim, client, call):
    head, answer = await ask(client, sim, client.more[call])
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    match client.more[call]:
        case _, "/lockers", _:
            assert {type(value) for value in answer["devices"][0].values()} == {int}
        case _, "/status" | "/", _:
            assert set(answer) == {"version", "current_status"}
        case _:
            assert answer == {"status": "ok", "code": 0}
    (record,) = sim.requests
    assert (record.code, record.acted) == (0, record.endpoint not in {"lockers", "status", "root_status"})
    if call.startswith("auto"):
        assert sim.state.automatic_synchronization is (call == "auto on")


@pytest.mark.parametrize("client", CLIENTS, ids=_name)
async def test_a_wrong_hash_is_refused_whoever_sends_it(sim, client):
    form = signed_form(count(1_700_000_000)) | {"ts": "1700000999"}
    path = next(path for path in client.signed_paths.values() if path in {"/open", "/locker_status"})
    _, answer = await ask(client, sim, ("POST", path, client.signed(form)))
    assert (answer["status"], answer["code"]) == ("ko", 33)
    assert sim.lockers[LOCKER].state == "closed"


@pytest.mark.parametrize("client", CLIENTS, ids=_name)
async def test_busy_is_a_reply_that_it_can_read(sim, client):
    with sim.synchronizing():
        head, answer = await ask(client, sim, ("POST", "/open", client.signed(signed_form(count(1_700_000_000)))))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer == {"status": "ko", "code": 500, "cause": "busy"}


async def test_the_vendors_sample_opens_with_its_hash_as_it_stands(sim):
    # The timestamp is chosen so that the hash has a plus, as half of them do.
    body = f"identifier={LOCKER}&hash=MCB3T/E+AjWWTXjHSeHlFwoWdfjw1OVbhbxwDM9RmXs=&ts=1700000004"
    _, answer = await ask(CLIENTS[0], sim, ("POST", "/open", body))
    assert answer == {"status": "ok", "code": 0}
    assert sim.lockers[LOCKER].state == "open"
