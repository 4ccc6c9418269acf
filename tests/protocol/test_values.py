"""Addresses, share codes, requests, batteries."""

import copy
import json
import pickle
import pprint
import traceback
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from hypothesis import given, strategies as st
from rich.pretty import pretty_repr

from tests.sample import CODE, LOCKER
from thekeys_async import GatewayBusyError, InvalidKeyError, OutcomeUnknownError, TheKeysError, battery_percent
from thekeys_async.protocol import endpoints
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.replies import Reply, check_done
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import Secret, ShareCode


@pytest.mark.parametrize(
    ("text", "normal", "authority"),
    [
        ("192.168.0.26", "192.168.0.26:80", "192.168.0.26"),
        ("192.168.0.26:80", "192.168.0.26:80", "192.168.0.26"),
        ("http://192.168.0.26/", "192.168.0.26:80", "192.168.0.26"),
        ("HTTP://TheKeys.Local.:8080", "thekeys.local:8080", "thekeys.local:8080"),
        ("::1", "[::1]:80", "[::1]"),
        ("http://[0:0::1]:8080/", "[::1]:8080", "[::1]:8080"),
        ("fe80::1%eth0", "[fe80::1%eth0]:80", "[fe80::1]"),
    ],
)
def test_one_form_for_all_ways_of_writing(text: str, normal: str, authority: str) -> None:
    address = Address.parse(text)
    assert str(address) == normal
    assert address.authority == authority
    assert Address.parse(normal) == address


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "https://h", "ftp://h", "h/path", "http://h/?q", "u:p@h", "h:0", "h:99999", "h:x", "1.2.3.300"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gateway"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((f"ga{blank}te", "line ends") for blank in "\r\n\t \x00\x1b\x0b\u2028"),
        ("gate\r\n", "line ends"),
        ("fe80::1%eth\n0", "line ends"),
        ("[fe80::1%eth/0]", "gateway"),
        ("g" * 400, "too long"),
    ],
)
def test_an_address_is_read_strictly_and_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Address.parse(text)


def test_the_zone_of_a_link_local_address_may_be_written_as_in_a_url() -> None:
    plain = Address.parse("[fe80::1%eth0]:8080")
    assert Address.parse("http://[fe80::1%25eth0]:8080/") == plain
    assert plain.host == "fe80::1%eth0"
    assert plain.authority == "[fe80::1]:8080"


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("code", ["", "clé"])
def test_a_share_code_is_ascii_and_not_empty(code: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        ShareCode(code)


def test_a_share_code_is_text() -> None:
    with pytest.raises(TypeError, match="text"):
        ShareCode(b"secret")


def test_a_share_code_shows_itself_nowhere() -> None:
    code = ShareCode("Zmo1sps2")
    assert "Zmo1sps2" not in f"{code} {code!r} {Request(endpoints.OPEN, 1, code)!r}"
    wrong = "Zmo1sps2" + chr(233)
    with pytest.raises(ValueError, match="ASCII") as caught:
        ShareCode(wrong)
    assert "Zmo1sps2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", [Secret, ShareCode])
def test_a_secret_is_hidden_from_every_renderer_and_is_no_less_a_value(kind: type[Secret]) -> None:
    secret = kind("Zmo1sps2")
    shown = [repr(secret), str(secret), f"{secret}", pprint.pformat([secret]), pretty_repr({"a": (secret,)})]
    shown += [repr(getattr(secret, name)) for name in dir(secret) if name not in {"reveal", "_reveal"}]
    assert not hasattr(secret, "__dict__")
    assert "Zmo1sps2" not in " ".join(shown)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(secret)
    assert secret.reveal() == copy.deepcopy(secret).reveal() == "Zmo1sps2"
    assert {secret: 1}[kind("Zmo1sps2")] == 1
    assert secret != kind("Zmo1sps3")
    assert secret != "Zmo1sps2"
    assert Secret("Zmo1sps2") != ShareCode("Zmo1sps2")


@pytest.mark.parametrize("wrong", ["Zmo1sps2é", b"Zmo1sps2"])
def test_a_share_code_that_is_refused_is_not_in_the_local_variables(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        ShareCode(wrong)
    rendered = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    rendered.stack[:] = [frame for frame in rendered.stack if frame.filename != __file__]
    assert len(rendered.stack)
    assert "Zmo1sps2" not in "".join(rendered.format())


@pytest.mark.parametrize("nothing", [None, "", 17, b"a", "\ud800"])
def test_what_is_no_text_to_send_is_no_secret(nothing: object) -> None:
    assert Secret.of(nothing) is None


def test_a_signed_form_is_percent_encoded_and_hidden() -> None:
    code = ShareCode(CODE)
    outgoing = Request(endpoints.OPEN, LOCKER, code).sign(1700000004)
    assert b"%2B" in outgoing.body
    assert parse_qs(outgoing.body.decode()) == {
        "identifier": ["45961123"],
        "ts": ["1700000004"],
        "hash": ["MCB3T/E+AjWWTXjHSeHlFwoWdfjw1OVbhbxwDM9RmXs="],
    }
    assert "hash" not in repr(outgoing)


@pytest.mark.parametrize(
    "written",
    [
        lambda h, body: "bad hash " + h,
        lambda h, body: "bad hash " + h[:-1],
        lambda h, body: "x" * 150 + " bad request " + body,
        lambda h, body: body,
    ],
)
@pytest.mark.parametrize("escape", ["", "/", "+="])
def test_a_refusal_that_echoes_the_hash_is_censored(written: Callable, escape: str) -> None:
    code = ShareCode(CODE)
    text = json.dumps(
        {
            "code": 36,
            "cause": written(code.sign(1700000004), Request(endpoints.OPEN, 1, code).sign(1700000004).body.decode()),
        }
    )
    for character in escape:
        text = text.replace(character, f"\\u{ord(character):04x}")
    with pytest.raises(InvalidKeyError) as caught:
        check_done(endpoints.OPEN, Reply(500, text.encode()))
    shown = f"{caught.value} {caught.value.cause}"
    assert "MCB3T" not in shown
    assert "***" in shown


def test_words_of_a_refusal_are_kept() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        check_done(endpoints.OPEN, Reply(500, b'{"code": 36, "cause": "InvalidSynchronizationData for 45961123"}'))
    assert caught.value.cause == "InvalidSynchronizationData for 45961123"


@pytest.mark.parametrize(
    ("millivolts", "percent"),
    [(0, 0), (6395, 0), (7783, 76), (7951, 87), (8030, 91), (8131, 95), (8204, 100), (9000, 100)],
)
def test_battery_estimates_are_near_the_apps(millivolts: int, percent: int) -> None:
    assert abs(battery_percent(millivolts) - percent) <= 1


@pytest.mark.parametrize(
    "error",
    [
        TheKeysError("x", code=1, cause="y", may_have_executed=True),
        GatewayBusyError("x", phase="Synchronizing gw"),
        OutcomeUnknownError("x"),
    ],
)
def test_errors_survive_pickling(error: TheKeysError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
