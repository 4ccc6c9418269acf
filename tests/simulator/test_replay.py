"""A recorded gateway, replayed: its habits are the same, and its answers are today's."""

import io
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import pytest

from tests.sample import CODE, LOCKER
from thekeys_async import (
    AsyncGateway,
    DoorState,
    GatewayBusyError,
    GatewayUnreachableError,
    InvalidHmacError,
    InvalidKeyError,
    NotSharedError,
    OutcomeUnknownError,
    Pacing,
    ProtocolError,
    RecordedExchange,
    Recorder,
    RequestTimeoutError,
    TheKeysError,
    Timestamps,
    read_recording,
)
from thekeys_async.protocol.endpoints import LOCKER_STATUS
from thekeys_async.simulator import Fault, ReplyStyle, SimulatedGateway, SimulatedLocker
from thekeys_async.simulator.recorded_gateway import RecordedGateway

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

NOW = 3.0


@asynccontextmanager
async def asking(address, file=None, **settings):
    """A client that records if it is given a file."""
    given = {"pacing": Pacing(0, 0), "timestamps": Timestamps(max_lead=1e6), "timeout": 20.0} | settings
    record = Recorder(file) if file is not None else None
    async with AsyncGateway(address, share_codes={LOCKER: CODE}, record=record, **given) as gateway:
        yield gateway


async def tour(gateway, identifier=LOCKER):
    """What a check asks: the error that each came to, or the value."""

    async def tried(call):
        try:
            return await call()
        except TheKeysError as error:
            return type(error).__name__, error.code, error.cause

    door = gateway.locker(identifier, share_code=CODE)
    calls = (gateway.status, gateway.lockers, door.status, gateway.lockers, door.status)
    return [await tried(call) for call in calls]


async def recorded(sim, ask=tour, **settings):
    """Record what a client meets at a gateway; give back that, and the lines."""
    file = io.StringIO()
    async with asking(sim.address, file, **settings) as gateway:
        met = await ask(gateway)
    return met, file.getvalue().splitlines()


def only_identifier(lines):
    """The number by which the recording calls the locker."""
    return next((exchange.identifier for exchange in read_recording(lines) if exchange.identifier), LOCKER)


def comparable(met):
    """Leave out what is another number in a recording."""
    return json.loads(json.dumps(met, default=lambda value: value.as_dict()), object_hook=_without_identifier)


def _without_identifier(fields):
    fields.pop("identifier", None)
    return fields


def odd(sim):
    sim.reply_next(
        {"devices": [{"identifier": str(LOCKER), "rssi": "-70", "battery": None, "extra": [1]}, {}]}, on="lockers"
    )


def html(sim):
    sim.reply_next(b"<html>It works!</html>", times=50)


def busy_now_and_then(sim):
    sim.fail(Fault.BUSY, on="lockers")


def wrong_code(sim):
    sim.lockers[LOCKER].share_codes = frozenset({"another"})


def not_shared(sim):
    sim.lockers[LOCKER].share_codes = frozenset()


def weak(sim):
    sim.lockers[LOCKER].rssi = -95


def flat(sim):
    sim.lockers[LOCKER].battery_mv = 6000


def refused_by_the_locker(sim):
    sim.error(36, on="locker_status", times=9)


def old(sim):
    sim.settings.status_path = False
    sim.state.version = 16


def healthy(sim):
    sim.lockers[LOCKER].state = "open"


TROUBLES = [healthy, odd, html, busy_now_and_then, wrong_code, not_shared, weak, flat, refused_by_the_locker, old]


@pytest.mark.parametrize("style", ReplyStyle)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_a_replayed_gateway_gives_the_same_findings(make, locker, quick_backoff, trouble, style):
    locker.wander = 0
    async with make(style=style) as sim:
        trouble(sim)
        met, lines = await recorded(sim, timeout=10)
    for _ in range(2):  # a recording can be made of a replayed gateway, too
        async with SimulatedGateway.from_recording(lines) as replayed:
            ask = partial(tour, identifier=only_identifier(lines))
            again, lines = await recorded(replayed, ask, timeout=10)
        assert comparable(again) == comparable(met)


@pytest.mark.parametrize("style", ReplyStyle)
async def test_a_hung_gateway_hangs_again(make, style):
    async def ask(gateway):
        assert (await gateway.status()).phase == "Synchronizing gw"
        for call in (gateway.lockers, gateway.locker(LOCKER).status):
            with pytest.raises(
                (GatewayBusyError, RequestTimeoutError)
            ):  # whether the budget ends while it asks or waits
                await call(timeout=1)

    async with make(style=style) as sim:
        sim.start_synchronizing()
        _, lines = await recorded(sim, ask)
    for _ in range(2):
        async with SimulatedGateway.from_recording(lines) as replayed:
            _, lines = await recorded(replayed, ask)


async def test_heads_odd_fields_and_words_are_as_recorded(make, serve):
    async def script(stream, number):
        body = b'{ "status":"ok" , "odd":[1], "devices":[{"battery":"0x1B58","identifier":"45961123","rssi":-70}]}'
        await stream.send(b"HTTP/1.0 200 Fine\r\nX-Odd: a\r\ncontent-length:%d\r\n\r\n" % len(body) + body)
        await stream.aclose()

    async with serve(script) as server:
        _, lines = await recorded(server, lambda gateway: gateway.lockers())
    async with SimulatedGateway.from_recording(lines) as replayed:
        (locker,) = replayed.lockers.values()
        for battery in ("0x1B58", "0x1770"):
            reply = await raw(replayed, b"GET /lockers HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _, body = reply.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.0 200 Fine\r\nX-Odd: a\r\ncontent-length:")
            assert int(head.rpartition(b":")[2]) == len(body)
            row = {"battery": battery, "identifier": str(locker.identifier), "rssi": -70}
            expected = {"status": "ok", "odd": [1], "devices": [row]}
            assert json.loads(body.lower()) == json.loads(json.dumps(expected).lower())
            locker.battery_mv = 6000


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\n\n",
        b"HTTP/1.1 200 OK\nConnection: close\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 102 Wait\r\nX: y\r\n\r\nHTTP/1.1 102 Wait\n\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
    ids=["line feeds", "line feeds and a header", "an interim answer", "two interim answers"],
)
async def test_however_heads_are_written_the_body_is_todays(serve, head):
    async def script(stream, number):
        await stream.send(head + b'{"status": "Door closed", "code": 49, "version": 81}')
        await stream.aclose()

    async with serve(script) as server:
        _, lines = await recorded(server, lambda gateway: gateway.locker(LOCKER).status())
    (exchange,) = read_recording(lines)
    assert exchange.head.encode() == head[head.index(b" 200 ") - 8 :].rstrip()
    assert json.loads(exchange.body)["code"] == 49
    identifier = only_identifier(lines)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        replayed.turn_bolt(identifier, "open")
        assert (await gateway.locker(identifier, share_code=CODE).status()).state is DoorState.OPEN
    assert replayed.requests[-1].code == 0


@pytest.mark.parametrize("write", [int, float, str, hex], ids=["numbers", "with a point", "text", "hexadecimal text"])
async def test_numbers_are_written_as_recorded_and_are_todays(serve, write):
    async def script(stream, number):
        asked = server.requests[-1].split(b" ")[1]
        row = {"rssi": -70, "battery": write(7000), "last_log": write(100)}
        if asked == b"/lockers":
            reply = {"status": "ok", "devices": [row | {"identifier": write(LOCKER)}]}
        elif asked == b"/locker_status":
            reply = row | {"status": "Door closed", "code": write(49), "id": write(LOCKER), "version": write(81)}
        else:
            reply = {"status": "ok", "code": write(0)}
        await stream.send(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(reply).encode())
        await stream.aclose()

    async def ask(gateway):
        await gateway.lockers()
        await gateway.locker(LOCKER).status()
        await gateway.locker(LOCKER).open()

    async with serve(script) as server:
        _, lines = await recorded(server, ask)
    identifier = only_identifier(lines)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        assert list(replayed.lockers) == [identifier]
        door = gateway.locker(identifier, share_code=CODE)
        await door.open()
        status, (reading,) = await door.status(), await gateway.lockers()
        assert (status.state, status.version) == (DoorState.OPEN, 81)
        assert (reading.identifier, reading.last_log) == (identifier, 101)
        body = (await raw(replayed, b"GET /lockers HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")[2]
        assert type(json.loads(body)["devices"][0]["last_log"]) is type(write(1))


async def raw(sim, data):
    received = b""
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(data)
        with anyio.fail_after(5):
            try:
                while True:
                    received += await stream.receive()
            except anyio.EndOfStream:
                return received


async def test_answers_are_todays(make, locker):
    locker.wander = 0
    async with make() as sim:
        _, lines = await recorded(sim)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        identifier = only_identifier(lines)
        door = gateway.locker(identifier, share_code=CODE)
        assert (await door.status()).state is DoorState.CLOSED
        await door.open()
        assert (await door.status()).state is DoorState.OPEN
        replayed.turn_bolt(identifier, "close")
        replayed.lockers[identifier].battery_mv = 6100
        replayed.state.version = 70
        assert (await door.status()).state is DoorState.CLOSED
        (reading,) = await gateway.lockers()
        assert (reading.battery_mv, reading.last_log) == (6100, 102)
        assert (await gateway.status()).version == 70
        with pytest.raises((InvalidHmacError, RequestTimeoutError)):
            await gateway.locker(identifier, share_code="wrong").status(timeout=NOW)
        assert replayed.requests[-1].code == 33


@pytest.mark.parametrize("code", [CODE, "mine"])
async def test_share_codes_are_the_callers(make, code):
    async with make() as sim:
        _, lines = await recorded(sim)
    identifier = only_identifier(lines)
    for codes in (code, {identifier: code}):
        replayed = SimulatedGateway.from_recording(lines, share_codes=codes)
        async with replayed, asking(replayed.address) as gateway:
            await gateway.locker(identifier, share_code=code).open()
    async with SimulatedGateway.from_recording(lines, share_codes={}) as replayed, asking(replayed.address) as gateway:
        with pytest.raises(NotSharedError):
            await gateway.locker(identifier, share_code=code).status()


async def test_a_refusal_of_today_has_the_recorded_words(make, locker):
    async def ask(gateway):
        with pytest.raises(InvalidKeyError):
            await gateway.locker(LOCKER).open()
        await gateway.locker(LOCKER).status()

    async with make() as sim:
        sim.reply_next({"status": "ko", "code": 36, "cause": "kein Schluessel"}, on="open")
        _, lines = await recorded(sim, ask)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        replayed.lockers[only_identifier(lines)].synchronized = False
        with pytest.raises(InvalidKeyError) as caught:
            await gateway.locker(only_identifier(lines), share_code=CODE).status()
        assert caught.value.cause == "kein Schluessel"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RESET_AFTER, OutcomeUnknownError),
        (Fault.HALF_REPLY, OutcomeUnknownError),
        (Fault.TRUNCATED_JSON, OutcomeUnknownError),
        (Fault.HANG, OutcomeUnknownError),
        (Fault.HTML_500, OutcomeUnknownError),
    ],
)
async def test_broken_exchanges_break_again(make, fault, error):
    async def ask(gateway):
        with pytest.raises(error):
            await gateway.locker(LOCKER).open(timeout=NOW)

    async with make() as sim:
        sim.fail(fault, on="open")
        _, lines = await recorded(sim, ask)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        with pytest.raises(error):
            await gateway.locker(only_identifier(lines), share_code=CODE).open(timeout=NOW)


async def test_a_dead_gateway_is_dead_until_it_is_started():
    async def ask(gateway):
        with pytest.raises(GatewayUnreachableError):
            await gateway.status(timeout=NOW)

    async with SimulatedGateway() as sim:
        await sim.stop()
        _, lines = await recorded(sim, ask)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        await ask(gateway)


async def test_times_are_as_recorded(make):
    async with make(light=0.03) as sim:
        _, lines = await recorded(sim, lambda gateway: gateway.status())
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        began = anyio.current_time()
        await gateway.status()
        assert anyio.current_time() - began > 0.029
        assert replayed.settings.light > 0.029


async def test_a_reply_in_pieces_comes_in_pieces(serve):
    async def script(stream, number):
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 14\r\n\r\n", b'{"version":65}'):
            await stream.send(piece)
            await anyio.sleep(0.01)

    async with serve(script) as server:
        _, lines = await recorded(server, lambda gateway: gateway.status())
    async with SimulatedGateway.from_recording(lines) as replayed:
        _, again = await recorded(replayed, lambda gateway: gateway.status())
    (first,), (second,) = list(read_recording(lines)), list(read_recording(again))
    assert [size for _, size in first.pieces] == [size for _, size in second.pieces] == [17, 22, 14]
    assert second.pieces[-1][0] - second.pieces[0][0] >= 0.02


@pytest.mark.parametrize(("settings", "ended"), [({"keep_alive": False}, "to be closed"), ({}, "kept")])
async def test_connections_end_as_recorded(make, settings, ended):
    async with make(**settings) as sim:
        _, lines = await recorded(sim)
    async with SimulatedGateway.from_recording(lines) as replayed:
        _, again = await recorded(replayed)
    assert {exchange.ended for exchange in read_recording(lines)} == {ended}
    assert {exchange.ended for exchange in read_recording(again)} == {ended}


async def test_a_gateway_that_closes_without_saying_so_does_so_again(make):
    async def ask(gateway):
        for _ in range(3):
            await gateway.lockers()

    paced = {"pacing": Pacing(0.03, 0.03)}
    async with make(silent_close=0.0) as sim:
        _, lines = await recorded(sim, ask, **paced)
    assert any(exchange.found_closed for exchange in read_recording(lines))
    async with SimulatedGateway.from_recording(lines) as replayed:
        _, again = await recorded(replayed, ask, **paced)
    times = [[exchange.found_closed for exchange in read_recording(each)] for each in (lines, again)]
    assert times[0] == times[1]


def exchange(second, **what):
    given = {
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second),
        "gateway": "gateway-1",
        "ended": "kept",
    }
    signed = {"action": "locker_status", "method": "POST", "path": "/locker_status", "identifier": 1000}
    return RecordedExchange(**given | signed | what)


def answered(second, code, **what):
    body = json.dumps({"status": "ko" if code == 33 else "Door closed", "code": code})
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    return exchange(second, reply=head + body, pieces=((0.01, len(head + body)),), **what)


@pytest.mark.parametrize(
    ("leads", "most"),
    [
        ([(0, 49), (5, 49), (8, 33), (6, 49), (9, 33)], 7),
        ([(0, 49), (5, 49)], None),
        ([(0, 33), (5, 33)], None),  # a wrong code
        ([(0, 33), (5, 49), (0, 49)], None),  # another program was ahead
    ],
)
def test_how_far_ahead_a_timestamp_may_be_is_found_in_what_was_refused(leads, most):
    recorded_gateway = RecordedGateway(
        [answered(second, code, lead=float(lead)) for second, (lead, code) in enumerate(leads)]
    )
    assert recorded_gateway.max_future == most
    replies = [recorded_gateway.next(LOCKER_STATUS, 1000).code for _ in leads]
    assert (33 in replies) is (most is None and any(code == 33 for _, code in leads))


def test_a_connection_is_closed_after_the_reply_after_which_it_was_found_closed():
    how = [("new", False), ("kept", False), ("new", True), ("kept", False)]
    recorded_gateway = RecordedGateway(
        [answered(n, 49, connection=kind, found_closed=closed) for n, (kind, closed) in enumerate(how)]
    )
    assert [recorded_gateway.next(LOCKER_STATUS, 1000).closes for _ in how] == [False, True, False, False]


async def test_another_web_server_answers_everything_so(make):
    async with make() as sim:
        html(sim)
        _, lines = await recorded(sim, timeout=NOW)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        with pytest.raises(ProtocolError):
            await gateway.lockers(timeout=NOW)
        with pytest.raises(OutcomeUnknownError):
            await gateway.synchronize()


async def test_faults_and_control_lines_work_at_a_replayed_gateway_too(make):
    async with make() as sim:
        _, lines = await recorded(sim)
    async with SimulatedGateway.from_recording(lines) as replayed, asking(replayed.address) as gateway:
        replayed.error(500, on="lockers", times=50)
        with pytest.raises(GatewayBusyError):
            await gateway.lockers(timeout=NOW)
        replayed.clear_faults()
        with replayed.synchronizing():
            assert (await gateway.status()).synchronizing
            with pytest.raises(GatewayBusyError):
                await gateway.lockers(timeout=NOW)
        replayed.appear(SimulatedLocker(7, rssi=-50))
        assert {reading.identifier for reading in await gateway.lockers()} == {7, only_identifier(lines)}
        replayed.vanish(only_identifier(lines))
        assert [reading.identifier for reading in await gateway.lockers()] == [7]


@pytest.mark.parametrize("lines", [[], ["nonsense"], ['{"recording": 99}'], ['{"recording": 1}']])
def test_what_is_no_recording_is_a_valueerror(lines):
    with pytest.raises(ValueError, match="recording"):
        SimulatedGateway.from_recording(lines)


async def test_a_file_and_one_gateway_of_several(make, tmp_path):
    async with make() as sim:
        _, lines = await recorded(sim)
    other = [line.replace("gateway-1", "gateway-2").replace('"-71"', "") for line in lines[1:]]
    path = tmp_path / "recording.jsonl"
    path.write_text("\n".join([*lines, *other]))
    assert SimulatedGateway.from_recording(path, gateway="gateway-2").lockers
    assert SimulatedGateway.from_recording(str(path)).lockers
    path.write_text("\n".join([*lines, *other]).replace("\\u00e9", "\u2028"), encoding="utf-8-sig", newline="\r\n")
    assert SimulatedGateway.from_recording(path).lockers
    with pytest.raises(ValueError, match="gateway-1, gateway-2"):
        SimulatedGateway.from_recording(path, gateway="gateway-3")
