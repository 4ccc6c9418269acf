"""Every request, in each of the ways in which gateways answer it."""

import pytest

from tests.sample import LOCKER
from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.simulator import ReplyStyle, SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio


def form_for(endpoint, sign):
    known = {"enable": "1"} | sign()
    return {name: known[name] for name in endpoint.fields}


async def ask(client, sim, endpoint, sign):
    return await client.request(endpoint.method, sim.url + endpoint.path, data=form_for(endpoint, sign) or None)


@pytest.mark.parametrize("style", ReplyStyle)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
async def test_every_request_is_known(client, make, sign, endpoint, style):
    async with make(style=style) as sim:
        reply = await ask(client, sim, endpoint, sign)
        assert reply.status_code == 200
        (record,) = sim.requests
    assert (record.endpoint, record.code, record.acted) == (endpoint.name, 0, endpoint.command)


@pytest.mark.parametrize(
    ("style", "path", "form", "body"),
    [
        (ReplyStyle.FIELD, "/locker/synchronize", {"identifier": LOCKER}, '{"status": "ok", "code": 0}'),
        (ReplyStyle.PAGE, "/locker/synchronize", {"identifier": LOCKER}, '{"status": "0", "code": "ok"}'),
        (ReplyStyle.TERSE, "/locker/synchronize", {"identifier": LOCKER}, ""),
        (ReplyStyle.TERSE, "/locker/update", {"identifier": LOCKER}, ""),
        (ReplyStyle.TERSE, "/update", {}, '{"status": "ok", "code": 0}'),
        (ReplyStyle.PAGE, "/locker/update", {"identifier": 1}, '{"status": "1", "code": "locker not found"}'),
        (
            ReplyStyle.FIELD,
            "/locker/update",
            {"identifier": 1},
            '{"status": "ko", "code": 1, "cause": "locker not found"}',
        ),
        (ReplyStyle.PAGE, "/open", {"identifier": 1}, '{"status": "400", "code": "missing timestamp"}'),
    ],
)
async def test_the_ways_of_writing(client, make, *, style, path, form, body):
    async with make(style=style) as sim:
        assert (await client.post(sim.url + path, data=form)).text == body


@pytest.mark.parametrize(("code", "text"), [(1, "invalid firmware"), (2, "generic error")])
async def test_the_page_words_a_failed_update_as_a_message(client, make, code, text):
    async with make(style=ReplyStyle.PAGE) as sim:
        sim.error(code, on="update")
        assert (await client.post(sim.url + "/update")).json() == {"status": str(code), "message": text}
        assert sim.requests[0].acted is False


@pytest.mark.parametrize(
    ("style", "busy"),
    [
        (ReplyStyle.FIELD, (200, {"status": "ko", "code": 500, "cause": "busy"})),
        (ReplyStyle.TERSE, (200, {"status": "ko", "code": 500, "cause": "busy"})),
        (ReplyStyle.BUSY_500, (500, {"status": "ko", "code": 500, "cause": "busy"})),
        (ReplyStyle.PAGE, (200, {"status": "500", "message": "busy"})),
    ],
)
async def test_the_ways_of_saying_busy(client, make, style, busy):
    async with make(style=style) as sim:
        sim.error(500)
        reply = await client.get(sim.url + "/lockers")
        assert (reply.status_code, reply.json()) == busy
        assert sim.requests[0].busy


async def test_lockers_lists_what_is_in_range(client, sim, locker):
    sim.appear(SimulatedLocker(2, rssi=-40, battery_mv=6000, last_log=7, wander=0))
    locker.wander = 0
    rows = (await client.get(sim.url + "/lockers")).json()["devices"]
    assert rows == [
        {"identifier": LOCKER, "rssi": -71, "battery": 7044, "last_log": 100},
        {"identifier": 2, "rssi": -40, "battery": 6000, "last_log": 7},
    ]
    sim.vanish(LOCKER)
    rows = (await client.get(sim.url + "/lockers")).json()["devices"]
    assert [row["identifier"] for row in rows] == [2]


async def test_old_firmware_tells_no_last_log(client, make):
    async with make(last_log=False) as sim:
        (row,) = (await client.get(sim.url + "/lockers")).json()["devices"]
    assert set(row) == {"identifier", "rssi", "battery"}


async def test_the_rssi_wanders_but_not_far_and_the_same_with_the_same_seed(client, make):
    async with make() as sim:
        walks = []
        for _ in range(40):
            (row,) = (await client.get(sim.url + "/lockers")).json()["devices"]
            walks.append(row["rssi"])
    assert len(set(walks)) > 2
    assert all(-74 <= rssi <= -68 for rssi in walks)


async def test_turns_make_the_log_grow_and_the_battery_drain(client, sim, locker, sign):
    for path in ("/open", "/close", "/calibrate"):
        await client.post(sim.url + path, data=sign())
    sim.turn_bolt(LOCKER, "open")
    (row,) = (await client.get(sim.url + "/lockers")).json()["devices"]
    assert (row["last_log"], row["battery"]) == (104, 7040)
    assert [(event.number, event.turn, event.by) for event in locker.events] == [
        (101, "open", "gateway"),
        (102, "close", "gateway"),
        (103, "calibrate", "gateway"),
        (104, "open", "hand"),
    ]
    assert (locker.opened_count, locker.closed_count, locker.calibrated_count) == (2, 1, 1)


async def test_reading_a_locker_costs_its_battery_a_little_and_is_no_event(client, sim, locker, sign):
    for _ in range(10):
        await client.post(sim.url + "/locker_status", data=sign())
    assert (locker.battery_mv, locker.last_log, locker.events) == (7043, 100, [])


async def test_an_empty_battery_stays_at_nothing():
    flat = SimulatedLocker(1, battery_mv=1)
    flat.turn("open")
    flat.turn("close")
    assert flat.battery_mv == 0


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [("unknown", 48, "Door unknown"), ("closed", 49, "Door closed"), ("open", 50, "Door open")],
)
async def test_the_status_of_a_locker(client, make, locker, sign, *, state, code, words):
    locker.state = state
    async with make() as sim:
        field = (await client.post(sim.url + "/locker_status", data=sign())).json()
        sim.settings.style = ReplyStyle.PAGE
        page = (await client.post(sim.url + "/locker_status", data=sign())).json()
    assert field == {
        "status": words,
        "code": code,
        "id": LOCKER,
        "version": 81,
        "position": 20,
        "rssi": -71,
        "battery": 7044,
    }
    assert page == {"status": hex(code), "code": "ok"}


async def test_a_jammed_bolt_says_so_until_it_is_free(client, sim, locker, sign):
    locker.jammed = True
    await client.post(sim.url + "/open", data=sign())
    assert (await client.post(sim.url + "/locker_status", data=sign())).json()["status"] == "Door jammed"
    locker.jammed = False
    await client.post(sim.url + "/calibrate", data=sign())
    assert locker.state == "closed"


async def test_an_updated_locker_does_not_know_its_bolt(client, sim, locker, sign):
    await client.post(sim.url + "/locker/update", data={"identifier": LOCKER})
    assert (locker.version, locker.state) == (82, "unknown")
    await client.post(sim.url + "/open", data=sign())
    assert locker.state == "open"


@pytest.mark.parametrize(("in_range", "compatible", "code"), [(False, True, 1), (True, False, 2), (True, True, 0)])
async def test_synchronising_a_locker(client, sim, locker, *, in_range, compatible, code):
    locker.in_range, locker.compatible = in_range, compatible
    reply = await client.post(sim.url + "/locker/synchronize", data={"identifier": LOCKER})
    assert reply.json()["code"] == code


async def test_synchronisations_are_told_to_whoever_wants_to_know(client, sim):
    told = []
    sim.on_synchronize.append(told.append)
    await client.get(sim.url + "/synchronize")
    await client.post(sim.url + "/locker/synchronize", data={"identifier": LOCKER})
    assert told == [None, LOCKER]


@pytest.mark.parametrize("style", [ReplyStyle.FIELD, ReplyStyle.PAGE])
async def test_status_tells_version_and_phase(client, make, style):
    async with make(style=style, version=17) as sim:
        reply = (await client.get(sim.url + "/status")).json()
    assert reply == {"version": "17" if style is ReplyStyle.PAGE else 17, "current_status": "Scanning..."}


async def test_old_firmware_gives_its_status_at_the_root_only(client, make):
    async with make(status_path=False, version=16) as sim:
        assert (await client.get(sim.url + "/status")).status_code == 404
        assert (await client.get(sim.url + "/")).json()["version"] == 16


@pytest.mark.parametrize(("method", "path"), [("GET", "/open"), ("DELETE", "/lockers"), ("GET", "/favicon.ico")])
async def test_what_no_gateway_knows_is_404_and_recorded(client, sim, method, path):
    assert (await client.request(method, sim.url + path)).status_code == 404
    (record,) = sim.requests
    assert (record.endpoint, record.method, record.path, record.code) == ("", method, path, None)


async def test_the_page_s_get_of_update_works_too(client, sim):
    assert (await client.get(sim.url + "/update")).json()["code"] == 0


@pytest.mark.parametrize("path", ["/lockers", "/status"])
async def test_lists_are_given_to_a_post_too(client, sim, locker, sign, path):
    locker.wander = 0
    expected = (await client.get(sim.url + path)).json()
    assert (await client.post(sim.url + path)).json() == expected
    assert (await client.post(sim.url + path, data=sign())).json() == expected


@pytest.mark.parametrize("query", ["", f"?identifier={LOCKER}"])
async def test_a_locker_is_synchronised_by_a_get_too(client, sim, locker, query):
    locker.synchronized = False
    assert (await client.get(f"{sim.url}/locker/synchronize{query}")).json() == {"status": "ok", "code": 0}
    assert locker.synchronized
    assert (sim.requests[0].endpoint, sim.requests[0].identifier) == ("synchronize_locker", LOCKER)


async def test_a_get_synchronises_the_locker_that_it_names_or_none(client, sim):
    assert (await client.get(f"{sim.url}/locker/synchronize?identifier=1")).json()["code"] == 1
    sim.vanish(LOCKER)
    assert (await client.get(f"{sim.url}/locker/synchronize")).json()["code"] == 400


@pytest.mark.parametrize("path", ["/lockers/", "/status/", "/locker/synchronize/", "/open//"])
async def test_a_slash_at_the_end_changes_nothing(client, sim, sign, path):
    assert (await client.post(sim.url + path, data=sign())).status_code == 200
    assert sim.requests[0].code == 0


async def test_a_head_is_answered_as_a_get_without_the_body(client, sim):
    head, get = await client.head(sim.url + "/status"), await client.get(sim.url + "/status")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert (await client.head(sim.url + "/open")).status_code == 404


@pytest.mark.parametrize(
    ("word", "enabled"), [("1", True), ("0", False), ("True", True), ("False", False), ("on", True), ("off", False)]
)
async def test_automatic_synchronisation_is_switched(client, sim, word, enabled):
    sim.state.automatic_synchronization = not enabled
    reply = await client.post(sim.url + "/auto", data={"enable": word})
    assert reply.json() == {"status": "ok", "code": 0}
    assert sim.state.automatic_synchronization is enabled


@pytest.mark.parametrize("form", [{}, {"enable": ""}, {"enable": "perhaps"}])
async def test_automatic_synchronisation_stays_as_it_is_without_a_clear_word(client, sim, form):
    reply = await client.post(sim.url + "/auto", data=form)
    assert reply.json()["code"] == 400
    assert sim.state.automatic_synchronization


async def test_two_lockers_with_one_identifier_are_a_mistake():
    with pytest.raises(ValueError, match="same identifier"):
        SimulatedGateway([SimulatedLocker(1), SimulatedLocker(1)])
