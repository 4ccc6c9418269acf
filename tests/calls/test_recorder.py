"""A recording: what a gateway did, without what tells whose it is."""

import io
import itertools
import json
import re
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, strategies as st

from tests.sample import CODE, LOCKER
from thekeys_async import (
    AsyncGateway,
    Fleet,
    GatewayUnreachableError,
    OutcomeUnknownError,
    Pacing,
    ProtocolError,
    Recorder,
    Timestamps,
    read_recording,
)
from thekeys_async.protocol import text
from thekeys_async.protocol.anonymizing import Anonymizer
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.protocol.text import mask
from thekeys_async.simulator import Fault, ReplyStyle, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def _simulated(**options: object) -> SimulatedGateway:
    lockers = [SimulatedLocker(LOCKER, share_code=CODE, wander=0)]
    return SimulatedGateway(lockers, light=0, bluetooth=0, **options)


def _gateway(sim: SimulatedGateway, record: Recorder, **options: object) -> AsyncGateway:
    given = {"name": "Mrs Miller's hall", "share_codes": {LOCKER: CODE}, "pacing": Pacing(0, 0), "timeout": 5}
    return AsyncGateway(sim.address, record=record, **(given | options))


async def test_every_exchange_is_a_line_that_can_be_read_back() -> None:
    file = io.StringIO()
    async with _simulated() as sim, _gateway(sim, Recorder(file)) as gateway:
        await gateway.lockers()
        await gateway.lockers()
        await gateway.locker(LOCKER).open()
    first, second, opened = read_recording(file.getvalue().splitlines())
    assert [each.action for each in (first, second, opened)] == ["lockers", "lockers", "open"]
    assert (first.connection, second.connection, opened.connection) == ("new", "kept", "new")
    assert first.connected_after is not None
    assert second.connected_after is None
    assert (first.ended, first.error, first.found_closed) == ("kept", None, False)
    assert first.head.startswith("HTTP/1.1 200")
    assert sum(length for _, length in first.pieces) == len(first.reply)
    assert json.loads(first.body)["devices"][0]["identifier"] == opened.identifier != LOCKER
    assert len(str(opened.identifier)) == len(str(LOCKER))
    assert opened.lead is not None
    assert (opened.method, opened.path) == ("POST", "/open")


@pytest.mark.parametrize("style", list(ReplyStyle))
async def test_nothing_in_it_tells_whose_gateway_it_is(style: ReplyStyle) -> None:
    file = io.StringIO()
    async with _simulated(style=style) as sim, _gateway(sim, Recorder(file)) as gateway:
        sim.start_synchronizing(LOCKER)
        await gateway.status()
        sim.stop_synchronizing()
        await gateway.lockers()
        result = await gateway.locker(LOCKER).open()
        await gateway.locker(LOCKER).status()
        await gateway.locker(LOCKER).synchronize()
    text = file.getvalue()
    assert str(LOCKER) not in text
    assert CODE not in text
    assert "Miller" not in text
    assert "127.0.0.1" not in text
    assert str(result.timestamp) not in text
    numbers = set(re.findall(r'"identifier\\?": ?\\?"?(\d+)', text))
    assert len(numbers) == 1
    assert f"Synchronizing {numbers.pop()}" in text


async def test_what_a_gateway_echoes_of_a_secret_is_stars_of_the_same_length() -> None:
    file = io.StringIO()
    async with _simulated() as sim, _gateway(sim, Recorder(file)) as gateway:
        sim.reply_next({"status": "ok", "code": 0, "cause": f"{CODE} 00:1A:2b:3C:4d:5E 192.168.7.23"})
        await gateway.locker(LOCKER).open()
    (exchange,) = read_recording(file.getvalue().splitlines())
    assert json.loads(exchange.body)["cause"] == "*" * len(CODE) + " 00:00:00:00:00:00 000.000.0.00"
    assert sum(length for _, length in exchange.pieces) == len(exchange.reply)


@pytest.mark.parametrize("field", ["cause", "whose"])
@pytest.mark.parametrize("named", [{}, {"key": "hall"}])
async def test_a_gateway_may_repeat_its_name_and_its_host(field: str, named: dict[str, str]) -> None:
    file = io.StringIO()
    async with _simulated() as sim, _gateway(sim, Recorder(file), name="Porte de Zoé", **named) as gateway:
        sim.reply_next({"status": "ok", "code": 0, field: "Porte de Zoé at localhost"}, on="open")
        sim.reply_next("<h1>Porte de Zo\u00e9, localhost, Livebox</h1>".encode(), on="close")
        await gateway.locker(LOCKER).open()
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(LOCKER).close()
    told = "".join(exchange.reply for exchange in read_recording(file.getvalue().splitlines())).casefold()
    assert "livebox" in told
    assert "porte" not in told
    assert "zo" not in told


async def test_a_host_is_not_told_where_the_gateway_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    async with _simulated() as sim:
        sim.reply_next("<h1>Not found at LOCALHOST</h1>", on="lockers")
        host = f"localhost:{sim.port}"
        async with AsyncGateway(host, name="hall", pacing=Pacing(0, 0), record=Recorder(file)) as gateway:
            with pytest.raises(ProtocolError):
                await gateway.lockers()
    (exchange,) = read_recording(file.getvalue().splitlines())
    assert exchange.body == "<h1>Not found at *********</h1>"


async def test_how_a_connection_ended_is_told() -> None:
    file = io.StringIO()
    async with _simulated(keep_alive=False) as sim, _gateway(sim, Recorder(file)) as gateway:
        await gateway.lockers()
        sim.fail(Fault.RESET_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(LOCKER).open()
        sim.fail(Fault.HALF_REPLY)
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(LOCKER).close()
        sim.fail(Fault.HANG_AFTER)
        with anyio.move_on_after(1):
            await gateway.locker(LOCKER).open()
    ended = [exchange.ended for exchange in read_recording(file.getvalue().splitlines())]
    assert ended[0] == "to be closed"
    assert ended[1].startswith("broken: ")
    assert ended[2] == "closed by the gateway"
    assert ended[3] == "given up"


async def test_a_kept_connection_that_died_is_told_with_the_next_exchange() -> None:
    file = io.StringIO()
    async with _simulated() as sim, _gateway(sim, Recorder(file)) as gateway:
        await gateway.lockers()
        await sim.stop()
        await sim.start()
        await gateway.lockers()
    first, second = read_recording(file.getvalue().splitlines())
    assert (first.ended, first.found_closed) == ("kept", False)
    assert (second.connection, second.found_closed) == ("new", True)


async def test_what_was_not_sent_is_told_with_its_error() -> None:
    file = io.StringIO()
    async with _simulated() as sim:
        address = sim.address
    async with AsyncGateway(address, record=Recorder(file), timeout=0.5) as gateway:
        with pytest.raises(GatewayUnreachableError):
            await gateway.lockers()
    exchanges = list(read_recording(file.getvalue().splitlines()))
    assert {(each.ended, each.error, each.reply) for each in exchanges} == {("not sent", "GatewayUnreachableError", "")}


async def test_a_fleet_records_its_gateways_under_names_of_their_own() -> None:
    file = io.StringIO()
    async with (
        _simulated() as one,
        _simulated() as other,
        Fleet({"Miller": one.address, "Smith": other.address}, record=Recorder(file)) as fleet,
    ):
        await fleet.lockers()
        await fleet.lockers()
    exchanges = list(read_recording(file.getvalue().splitlines()))
    assert sorted(each.gateway for each in exchanges) == ["gateway-1", "gateway-1", "gateway-2", "gateway-2"]


def test_a_file_is_made_for_the_user_alone_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.jsonl"
    with Recorder(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(read_recording(path.read_text().splitlines())) == []
    with pytest.raises(FileExistsError):
        Recorder(path)


async def test_a_path_is_recorded_to_and_closed_with_the_gateway(tmp_path: Path) -> None:
    path = tmp_path / "gateway.jsonl"
    async with _simulated() as sim:
        async with AsyncGateway(sim.address, record=path) as gateway:
            await gateway.lockers()
        with path.open() as file:
            assert [exchange.action for exchange in read_recording(file)] == ["lockers"]
        with pytest.raises(FileExistsError):
            AsyncGateway(sim.address, record=str(path))


def test_what_goes_through_httpx_is_not_recorded() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with pytest.raises(ValueError, match="httpx"):
        AsyncGateway("gateway.test", transport=transport, record=Recorder(io.StringIO()))


@pytest.mark.parametrize("line", ["", "{}", '{"recording": 99}', "[]", "not json"])
def test_what_is_no_recording_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(read_recording([line]))


@pytest.mark.parametrize("line", ["{}", "17", '{"at": "yesterday"}', '{"at": "20', "[]", "null"])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(read_recording(['{"recording": 1}', line]))


_EXCHANGE = {
    "at": "2026-01-01T00:00:00+00:00",
    "gateway": "g",
    "action": "lockers",
    "method": "GET",
    "path": "/",
    "ended": "kept",
}


_LINES = ['{"recording": 1}', json.dumps(_EXCHANGE), json.dumps(_EXCHANGE)]


@pytest.mark.parametrize(
    "lines",
    [
        [*_LINES, ""],
        [_LINES[0], "", _LINES[1], "  ", _LINES[2], "\n", ""],
        [f"{line}\r\n" for line in _LINES],
        [f"\ufeff{_LINES[0]}", *_LINES[1:]],
        [*_LINES, _LINES[1][:40]],
        [*_LINES, _LINES[1][:40], "", "\n"],
    ],
    ids=["a blank end", "blank lines", "as on Windows", "a mark before it", "cut off", "cut off before blank lines"],
)
def test_what_an_editor_or_a_full_disk_made_of_it_is_read(lines: list[str]) -> None:
    assert len(list(read_recording(lines))) == 2


def test_a_line_that_is_none_in_the_middle_is_named() -> None:
    with pytest.raises(ValueError, match="line 3"):
        list(read_recording([*_LINES[:2], _LINES[1][:40], _LINES[2]]))


@pytest.mark.parametrize("pieces", [[["a", "b"]], [[1]], [[-1, 2]], [[1, -2]], {"a": 1}, 5, "ab", [[float("nan"), 1]]])
def test_pieces_that_are_none_are_named(pieces: object) -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(read_recording(['{"recording": 1}', json.dumps(_EXCHANGE | {"pieces": pieces})]))


def test_a_line_that_is_nested_too_deeply_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(read_recording(['{"recording": 1}', "[" * 100_000]))


_number = st.integers(min_value=10**5, max_value=10**12).map(str)


@given(
    st.lists(_number, min_size=1, max_size=6),
    st.sampled_from(["{}", '"identifier": {}', 'Synchronizing {}, "rssi": -70']),
)
def test_numbers_are_replaced_always_by_the_same_of_the_same_length(numbers: list[str], form: str) -> None:
    anonymizer = Anonymizer()
    text = " ".join(form.replace("{}", number) for number in numbers)
    fit = anonymizer.reply(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}").partition("\r\n\r\n")[2]
    assert len(fit) == len(text)
    new = re.findall(r"\d{5,}", fit)
    if form != "{}" or all(len(number) >= 6 for number in numbers):
        assert dict(zip(numbers, new, strict=True)) == {number: anonymizer.number(number) for number in numbers}
        assert len(set(new)) == len(set(numbers))


def test_ever_new_numbers_cost_constant_memory() -> None:
    anonymizer = Anonymizer()
    for number in range(10**7, 10**7 + 30_000):
        anonymizer.number(str(number))
    assert len(anonymizer._numbers) < 20_000


@given(st.text("ab+/ ", max_size=60), st.text("ab+/", min_size=1, max_size=20))
def test_masked_at_the_same_length(text: str, secret: str) -> None:
    assert len(mask(text, secret, same_length=True)) == len(text)


_SAYS_IT = [
    f"identifier%3D{LOCKER}%26ts%3D1795618063",
    f"TK{LOCKER}A",
    f'"locker{LOCKER}"',
    "a4cf12deadbe",
    "fe80::a6cf:12ff:fede:beef",
    "2001:db8:0:0:1:2:3:4",
]


@pytest.mark.parametrize("telling", _SAYS_IT)
def test_what_tells_whose_it_is_is_replaced_wherever_it_stands(telling: str) -> None:
    headers = "\r\n".join(f"{name}: {telling}" for name in ("Server", "ETag", "Via", "X-Host", "Set-Cookie"))
    fit = Anonymizer().reply(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{telling} 14:43:06")
    assert telling not in fit
    assert str(LOCKER) not in fit
    assert fit.endswith(" 14:43:06")
    assert len(fit.splitlines()[-1]) == len(telling) + 9


def test_a_short_identifier_is_replaced_where_it_is_said_again() -> None:
    fit = Anonymizer().reply(
        'HTTP/1.1 200 OK\r\n\r\n{"identifier": 4961, "battery": 4961, "cause": "Synchronizing 4961"}'
    )
    assert fit.count("4961") == 1
    assert '"battery": 4961' in fit


@given(st.data())
def test_what_is_cut_by_a_chunk_is_replaced_as_if_it_were_whole(data: st.DataObject) -> None:
    text = f'{{"identifier": {LOCKER}, "cause": "{CODE}", "address": "192.168.0.26"}}'
    cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(1, len(text) - 1), max_size=8))})
    chunks = [text[start:stop] for start, stop in itertools.pairwise(cuts)]
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = head + "".join(f"{len(chunk):x}\r\n{chunk}\r\n" for chunk in chunks) + "0\r\n\r\n"
    fit = Anonymizer().reply(reply, lambda part: mask(part, CODE, same_length=True))
    assert len(fit) == len(reply)
    at, whole = len(head), ""
    for chunk in chunks:
        at += len(f"{len(chunk):x}\r\n")
        whole += fit[at : at + len(chunk)]
        at += len(chunk) + 2
    stars = "*" * len(CODE)
    assert whole == f'{{"identifier": 10000000, "cause": "{stars}", "address": "000.000.0.00"}}'


def test_a_number_without_end_ends_no_recording() -> None:
    assert Anonymizer().reply("HTTP/1.1 200 OK\r\n\r\n" + "1" * 60_000).endswith("9" * 60_000)


def test_hashes_of_long_ago_cost_no_more_than_those_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    look = text._mask_pieces

    def counted(*given: Any, **options: Any) -> str:
        looked.append(1)
        return look(*given, **options)

    recorder, code = Recorder(io.StringIO()), ShareCode(CODE)
    stamp = SimpleNamespace(value=1_795_618_063)
    for _ in range(1000):
        stamp.value += 1
        recorder._remember(SimpleNamespace(request=SimpleNamespace(code=code), stamp=stamp))
    monkeypatch.setattr(text, "_mask_pieces", counted)
    assert recorder._hide(code.sign(stamp.value)) == "*" * 44
    assert recorder._hide(code.sign(stamp.value - 200)) == "*" * 44
    assert len(looked) <= 6


class _Full(io.StringIO):
    """A disk that is full after the first line."""

    def write(self, text: str) -> int:
        if self.tell():
            raise OSError(28, "No space left on device")
        return super().write(text)


async def test_a_disk_that_is_full_ends_the_recording_and_no_call(caplog: pytest.LogCaptureFixture) -> None:
    async with _simulated() as sim, _gateway(sim, Recorder(_Full())) as gateway:
        await gateway.locker(LOCKER).open()
        await gateway.lockers()
        assert sim.lockers[LOCKER].opened_count == 1
    assert [record.getMessage() for record in caplog.records] == [
        "the recording ends here: it can't be written (No space left on device)"
    ]


class _Strange(io.StringIO):
    """A file that fails as no file does, after the first line."""

    def write(self, text: str) -> int:
        if self.tell():
            raise RuntimeError(text)
        return super().write(text)


async def test_whatever_a_file_raises_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    async with _simulated() as sim, _gateway(sim, Recorder(_Strange())) as gateway:
        await gateway.locker(LOCKER).open()
        assert sim.lockers[LOCKER].opened_count == 1
    assert "RuntimeError" in caplog.text


async def test_a_recorder_that_was_closed_too_soon_fails_no_call(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "gateway.jsonl")
    async with _simulated() as sim, _gateway(sim, recorder) as gateway:
        recorder.close()
        await gateway.locker(LOCKER).open()
    assert sim.lockers[LOCKER].opened_count == 1


async def test_a_lead_is_ahead_of_the_clock_itself() -> None:
    file = io.StringIO()
    async with _simulated() as sim, _gateway(sim, Recorder(file), timestamps=Timestamps(offset=7)) as gateway:
        await gateway.locker(LOCKER).status()
    (read,) = read_recording(file.getvalue().splitlines())
    assert read.lead is not None
    assert 5.9 < read.lead <= 7
