"""Text from outside: masked, printable, bounded, and understood in linear time."""

import base64
import importlib
import json
import pkgutil
import re
import re._constants as opcodes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

import thekeys_async
from tests.sample import CODE
from thekeys_async import TheKeysError
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.secrets import ShareCode, Signed
from thekeys_async.protocol.text import fit_to_show, mask

_SIGNED = Signed(ShareCode(CODE), 1_700_000_005)
_HASH = ShareCode(CODE).sign(1_700_000_005)


def _forms(secret: str) -> list[str]:
    return [
        secret,
        secret.rstrip("="),
        secret.replace("+", " "),
        secret.replace("+", "-").replace("/", "_"),
        quote(secret, safe=""),
        secret[:15],
        secret[-15:],
        secret[5:20],
    ]


@given(st.integers(0, 2**40), st.text(max_size=20), st.text(max_size=20), st.integers(0, 7))
def test_no_form_of_a_hash_is_left(timestamp: int, before: str, after: str, form: int) -> None:
    signed = Signed(ShareCode(CODE), timestamp)
    shown = _forms(ShareCode(CODE).sign(timestamp))[form]
    left = signed.mask(f"{before} {shown} {after}")
    assert not any(shown[i : i + 8] in left for i in range(len(shown) - 7))


@pytest.mark.parametrize("code", ["1234", "12345678", CODE])
def test_a_share_code_is_masked_whole_and_in_pieces(code: str) -> None:
    assert code not in mask(f"no share for {code}!", code)
    assert mask("all is well", code) == "all is well"
    assert CODE[:15] not in mask(f"cut: {CODE[:15]}", CODE)


@pytest.mark.parametrize("word", [_HASH, quote(_HASH, safe=""), _HASH[:15], "3q2-7w_AAAAA1234"])
def test_what_looks_like_a_secret_is_masked_although_nobody_knows_it(word: str) -> None:
    assert word[:14] not in fit_to_show(f"hash {word} is invalid")


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    for padding in range(150, 220):
        assert _HASH[:8] not in fit_to_show("a " * (padding // 2) + _HASH)


@given(st.text())
def test_text_is_one_printable_line(text: str) -> None:
    shown = fit_to_show(text)
    assert len(shown) <= 200
    assert all(character.isprintable() for character in shown)
    assert fit_to_show("\x1b]0;x\x07\x1b[31mred\r\nWARNING forged") == "]0;x [31mred WARNING forged"


_SIZES = (2_000, 4_000)
_SHAPES: dict[str, Callable[[int], bytes]] = {
    "a word": lambda n: json.dumps({"status": "ok", "message": "x" * n}).encode(),
    "a cause": lambda n: json.dumps({"status": "ko", "cause": "x" * n}).encode(),
    "a code": lambda n: json.dumps({"status": "ok", "code": "x" * n}).encode(),
    "a status": lambda n: json.dumps({"status": "1" * n}).encode(),
    "a phase": lambda n: json.dumps({"version": 17, "current_status": "ab1" * (n // 3)}).encode(),
    "blanks": lambda n: json.dumps({"status": " " * n, "cause": "\t" * n}).encode(),
    "words": lambda n: json.dumps({"status": "ko", "cause": "a1+/" * 3 + " b" * (n // 2)}).encode(),
    "hashes": lambda n: json.dumps({"status": "ko", "cause": (_HASH + " ") * (n // 45)}).encode(),
    "devices": lambda n: json.dumps({"status": "ok", "devices": [{"identifier": 1}] * (n // 18)}).encode(),
    "brackets": lambda n: b"[" * n,
    "keys": lambda n: json.dumps({f"k{i}": i for i in range(n // 10)}).encode(),
}


def _work(read: Callable[[], object]) -> int:
    """Count the lines that run, which no other load on the machine changes."""
    lines = 0

    def trace(_frame: object, event: str, _argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        read()
    except TheKeysError:
        pass
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("endpoint", [endpoints.LOCKERS, endpoints.STATUS, endpoints.LOCKER_STATUS, endpoints.OPEN])
def test_understanding_a_reply_is_linear_work(shape: str, endpoint: endpoints.Endpoint) -> None:
    readers = {
        endpoints.LOCKERS: replies.lockers,
        endpoints.STATUS: replies.gateway_status,
        endpoints.LOCKER_STATUS: replies.locker_status,
    }
    read = readers.get(endpoint, replies.check_done)
    small, large = (_work(lambda n=n: read(endpoint, Reply(200, _SHAPES[shape](n), _SIGNED))) for n in _SIZES)
    assert large <= 2.2 * small + 100


# Repeats in repeats that end at a character which the inner one can't match; and what they look at is short.
_DELIMITED = {
    "thekeys_async.protocol.address._NAME",
    "thekeys_async.protocol.reading._PLAIN_HEAD",
    "thekeys_async.simulator.http.messages._HEAD",
}


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in pkgutil.walk_packages(thekeys_async.__path__, "thekeys_async."):
        if module.name.endswith(("__main__", "pytest_plugin")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value


def _repeats(parsed: object, *, inside: bool) -> Iterator[str]:
    """Name what makes a pattern look at the same characters again: repeats in repeats, and in what looks around."""
    for opcode, argument in parsed:  # type: ignore[attr-defined]
        if opcode in {opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT}:
            _, most, body = argument
            unbounded = most is opcodes.MAXREPEAT
            if unbounded and inside:
                yield "an unbounded repeat where the same characters are looked at again"
            yield from _repeats(body, inside=inside or unbounded)
        elif opcode in {opcodes.ASSERT, opcodes.ASSERT_NOT}:
            yield from _repeats(argument[1], inside=True)
        elif opcode is opcodes.SUBPATTERN:
            yield from _repeats(argument[3], inside=inside)
        elif opcode is opcodes.BRANCH:
            for branch in argument[1]:
                yield from _repeats(branch, inside=inside)


def test_no_pattern_of_the_package_rescans_what_it_has_seen() -> None:
    found = dict(_patterns())
    assert len(found) > 5
    rescans = {name for name, p in found.items() if any(_repeats(parser.parse(p.pattern, p.flags), inside=False))}
    assert rescans == _DELIMITED
    bad = parser.parse(r"(?=\S*[0-9])[A-Za-z0-9]{16,}")
    assert list(_repeats(bad, inside=False))
    assert list(_repeats(parser.parse(r"(a+)*"), inside=False))


def test_the_longest_word_ends() -> None:
    """Hangs, and is ended, if a pattern backtracks in a way that no rule above sees."""
    program = f"""
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.text import fit_to_show
for piece in ("x", "X", "x1", "%", " ", "=", "-", "a ", "{base64.b64encode(b"0" * 30).decode()}"):
    text = piece * (60_000 // len(piece))
    fit_to_show(text)
    fit_to_show(text + "1")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("code", "echoed"),
    [
        ("a/b+cdef", "a%2fb%2bcdef"),
        ("a/b+cdef", r"a\/b+cdef"),
        ('ab"cdefg', r"ab\"cdefg"),
        ("abcd efg", "abcd+efg"),
        ("abcd&efg", "abcd&amp;efg"),
    ],
)
def test_an_escaped_code_is_masked_too(code: str, echoed: str) -> None:
    assert mask(f"no share {echoed} here", code) == "no share *** here"
