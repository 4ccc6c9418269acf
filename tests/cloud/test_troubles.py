"""Every way in which the cloud fails, on a read and on a change: the right error, and whether it may have happened."""

import gzip
import logging

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute

from thekeys_async.cloud import (
    AuthenticationError,
    Cloud,
    CloudError,
    CloudProtocolError,
    CloudUnreachableError,
    NotFoundError,
    ShareRejectedError,
)
from thekeys_async.protocol.text import mask
from thekeys_async.simulator.faults import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

PASSING = [Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.HALF_REPLY, Fault.HTML_500]
LASTING = [Fault.TRUNCATED_JSON, Fault.NOT_JSON, Fault.EMPTY_BODY, Fault.GIANT_BODY, Fault.REDIRECT]


@pytest.mark.parametrize("on", ["account", "login"])
@pytest.mark.parametrize("fault", PASSING)
async def test_a_read_gets_over_what_passes(home, fault, on):
    home.server.fail(fault, on=on, times=3)
    async with home.cloud() as cloud:
        assert len(await cloud.lockers()) == 2
    assert home.calls(on) == 4
    assert [0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(home.clock.slept)] == [True] * 3


@pytest.mark.parametrize("fault", PASSING)
async def test_a_read_that_always_fails_is_given_up(home, fault):
    home.server.fail(fault, on="account", times=100)
    async with home.cloud() as cloud:
        with pytest.raises(CloudUnreachableError) as caught:
            await cloud.lockers()
    assert not caught.value.may_have_executed
    assert home.calls("account") == 4


@pytest.mark.parametrize("fault", LASTING)
async def test_a_read_with_an_answer_of_no_use_is_not_repeated(home, fault):
    home.server.fail(fault, on="account")
    async with home.cloud() as cloud:
        with pytest.raises(CloudProtocolError) as caught:
            await cloud.lockers()
        assert not caught.value.may_have_executed
        assert home.calls("account") == 1
        assert len(await cloud.lockers()) == 2, "the next call works"


async def test_a_body_that_drips_is_an_answer(home):
    home.server.fail(Fault.DRIP, on="shares")
    async with home.cloud() as cloud:
        locker = (await cloud.lockers())[0]
        assert await cloud.shares(locker) == ()


@pytest.mark.parametrize("fault", PASSING + LASTING)
async def test_a_change_is_sent_once_and_says_that_it_may_have_happened(home, pair, fault):
    kind = CloudUnreachableError if fault in PASSING else CloudProtocolError
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.create_share(locker, gateway, name="old")
        for name, change in {
            "create": lambda: cloud.create_share(locker, gateway, name="new"),
            "update": lambda: cloud.update_share(share, name="newer"),
            "delete": lambda: cloud.delete_share(share),
        }.items():
            before = home.calls(name)
            home.server.fail(fault, on=name)
            with pytest.raises(kind) as caught:
                await change()
            assert caught.value.may_have_executed
            assert home.calls(name) == before + 1
    assert len(home.server.shares) == 1
    assert (home.server.shares[0].name == "new") is fault.acts


@pytest.mark.parametrize(
    ("http", "inside", "kind", "may_have_executed"),
    [
        (403, 403, AuthenticationError, False),
        (200, 403, AuthenticationError, False),
        (404, None, NotFoundError, False),
        (200, 404, NotFoundError, False),
        (418, 200, CloudProtocolError, False),
        (302, None, CloudProtocolError, True),
        (500, 200, CloudUnreachableError, True),
        (200, 503, CloudUnreachableError, True),
    ],
)
async def test_the_worse_status_counts_in_http_or_in_the_json(home, pair, http, inside, kind, may_have_executed):  # noqa: PLR0917 - a table
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.reply_next({"status": inside, "data": None}, status=http, on="create")
        with pytest.raises(kind) as caught:
            await cloud.create_share(locker, gateway, name="hall")
    assert caught.value.code in {http, inside} - {200}
    assert caught.value.may_have_executed is may_have_executed
    assert home.calls("create") == 1


async def test_too_many_requests_means_that_nothing_was_done(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.reply_next({}, status=429, on="create", times=2)
        await cloud.create_share(locker, gateway, name="hall")
    assert len(home.server.shares) == 1
    assert home.calls("create") == 3


@pytest.mark.parametrize("on", ["login", "account"])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_cloud_that_asks_to_wait_is_left_alone_for_so_long(home, on, status):
    home.server.reply_next({}, status=status, headers={"Retry-After": "7"}, on=on)
    async with home.cloud() as cloud:
        await cloud.account()
    (slept,) = home.clock.slept
    assert 7 < slept < 8
    assert home.calls(on) == 2


@pytest.mark.parametrize("seconds", [11, 3600, 999_999_999])
async def test_who_would_have_to_wait_for_long_learns_it_at_once(home, seconds):
    home.server.reply_next({}, status=429, headers={"Retry-After": str(seconds)}, on="account", times=4)
    async with home.cloud() as cloud:
        with pytest.raises(CloudUnreachableError, match="asks to wait for") as caught:
            await cloud.account()
    assert caught.value.code == 429
    assert home.clock.slept == []
    assert home.calls("account") == 1


@pytest.mark.parametrize("said", ["", "soon", "-5", "1e9", "Wed, 25 Nov 2026 17:07:00 GMT", "9" * 5000])
async def test_a_time_to_wait_that_is_none_is_passed_over(home, said):
    home.server.reply_next({}, status=503, headers={"Retry-After": said}, on="account")
    async with home.cloud() as cloud:
        await cloud.account()
    assert all(slept < 2 for slept in home.clock.slept)


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"Content-Encoding": "gzip"}, gzip.compress(b"{}"), "compressed, which was not asked for"),
        ({}, b"<html>", "not a JSON object"),
        ({}, b" " * 1_000_001, "too long"),
    ],
    ids=["compressed", "a page", "too long"],
)
async def test_an_answer_of_no_use_is_called_what_it_is(home, headers, body, words):
    home.server.reply_next(body, headers=headers, on="account")
    async with home.cloud() as cloud:
        with pytest.raises(CloudProtocolError, match=f"^read the account: the answer is {words}$"):
            await cloud.account()


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": "fine"}, {"status": 204}])
async def test_a_deletion_that_is_not_confirmed_is_not_believed(home, pair, body):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.create_share(locker, gateway, name="hall")
        home.server.reply_next(body, on="delete")
        with pytest.raises(CloudProtocolError) as caught:
            await cloud.delete_share(share)
    assert caught.value.may_have_executed


async def test_nobody_there(home, free_tcp_port):
    async with home.cloud(base_url=f"http://127.0.0.1:{free_tcp_port}") as cloud:
        with pytest.raises(CloudUnreachableError) as caught:
            await cloud.lockers()
    assert not caught.value.may_have_executed
    assert len(home.clock.slept) == 3


@pytest.mark.parametrize(
    ("error", "may_have_executed"),
    [(httpx.ConnectError("no"), False), (httpx.ConnectTimeout("slow"), True), (httpx.ReadTimeout("slow"), True)],
)
async def test_through_a_callers_client_only_a_refused_connection_proves_that_nothing_was_sent(
    home, pair, error, may_have_executed
):
    tried = []

    def answer(request):
        if "login_check" in request.url.path:
            return httpx.Response(200, json={"token": "t"})
        tried.append(request)
        raise error

    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(CloudUnreachableError) as caught:
            await home.cloud(client=client).create_share(locker, gateway, name="hall")
    assert caught.value.may_have_executed is may_have_executed
    assert len(tried) == (1 if may_have_executed else 4)


async def test_a_password_is_not_carried_to_where_a_redirect_points(home):
    home.server.fail(Fault.REDIRECT, on="login")
    async with httpx.AsyncClient(follow_redirects=True, auth=("user", "basic")) as client:
        with pytest.raises(CloudProtocolError):
            await home.cloud(client=client).lockers()
    assert [request.call for request in home.server.requests] == ["login"]


async def test_a_callers_own_authorisation_does_not_replace_ours(home):
    sent = []

    def answer(request):
        sent.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"token": "t", "data": {"serrures": []}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), auth=("user", "basic")) as client:
        await home.cloud(client=client).lockers()
    assert sent == [None, "Bearer t"]


async def test_no_connection_is_kept_for_a_change_to_die_on():
    connections = []

    async def converse(stream):
        connections.append(stream)
        body = b'{"status": 200, "token": "t", "data": {"serrures": []}}'
        async with stream:
            try:
                while True:
                    await stream.receive()
                    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, converse)
        port = listener.extra(SocketAttribute.local_port)
        async with Cloud("+33612345678", "x", base_url=f"http://127.0.0.1:{port}") as cloud:
            await cloud.lockers()
            await cloud.delete_share(1)
            await cloud.delete_share(2)
        tasks.cancel_scope.cancel()
    assert len(connections) == 4


async def test_a_packed_body_is_not_unpacked(home):
    bomb = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: bomb)) as client:
        with pytest.raises(CloudProtocolError):
            await home.cloud(client=client).lockers()


@pytest.mark.parametrize("on", ["account", "login"])
async def test_a_read_that_hangs_ends_with_its_time(home, on):
    home.server.fail(Fault.HANG, on=on)
    async with home.cloud(timeout=0.2) as cloud:
        with pytest.raises(CloudUnreachableError, match=r"0\.2 s") as caught:
            await cloud.lockers()
    assert not caught.value.may_have_executed


@pytest.mark.parametrize("ensure", [False, True])
async def test_a_change_that_hangs_ends_with_its_time_and_may_have_happened(home, pair, ensure):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        cloud._timeout = 0.5
        home.server.fail(Fault.HANG_AFTER, on="create")
        with pytest.raises(CloudUnreachableError) as caught:
            await (cloud.ensure_share if ensure else cloud.create_share)(locker, gateway, name="hall")
    assert caught.value.may_have_executed
    assert len(home.server.shares) == 1


async def test_a_change_that_is_cancelled_leaves_a_warning(home, pair, caplog):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(Fault.HANG_AFTER, on="create")
        with caplog.at_level(logging.WARNING):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: cloud.create_share(locker, gateway, name="hall"))
                await home.server.wait_for_requests(1, on="create")
                tasks.cancel_scope.cancel()
        assert "may have been created" in caplog.text
        caplog.clear()
        home.server.fail(Fault.HANG, on="account")
        with caplog.at_level(logging.WARNING):
            with anyio.move_on_after(0.1):
                await cloud.lockers()
        assert caplog.text == ""
        assert len(await cloud.lockers()) == 2, "the next call works"


async def test_one_gateway_that_cannot_be_read_is_one_plain_error(home):
    home.server.reply_next(b"<html>", on="accessory")
    async with home.cloud() as cloud:
        with pytest.raises(CloudError) as caught:
            await cloud.gateways()
    assert type(caught.value) is CloudProtocolError


async def test_an_endless_body_is_cut_off():
    async def converse(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            with anyio.move_on_after(10):
                try:
                    while True:
                        await stream.send(b" " * 65536)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, converse)
        port = listener.extra(SocketAttribute.local_port)
        async with Cloud("+33612345678", "x", base_url=f"http://127.0.0.1:{port}") as cloud:
            with pytest.raises(CloudProtocolError, match="too long"):
                await cloud.lockers()
        tasks.cancel_scope.cancel()


async def test_a_refusal_with_many_long_words_is_understood_with_little_work(home, pair, monkeypatch):
    long, many = "x" * 300_000, ["y"] * 100_000
    worked_on = []

    def counted(text, secret):
        worked_on.append(len(text) * len(secret))
        return mask(text, secret)

    monkeypatch.setattr("thekeys_async.cloud.http.mask", counted)
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        for form in ({long: many}, [long], {"a": {long: many}}, {"a": {"b": {"c": {"d": many}}}, "e": long}):
            body = {"status": 400, "data": None, "message": {"global": [long], "form": form}}
            home.server.reply_next(body, status=400, on="create")
            with pytest.raises(ShareRejectedError) as caught:
                await cloud.create_share(locker, keypad, name="a", share_code="80314159")
            assert len(caught.value.messages) <= 40
            assert all(len(message) <= 300 for message in caught.value.messages)
    assert worked_on
    assert sum(worked_on) < 4 * 40 * 3 * 1000 * 100, "a bounded piece of each of a bounded number of words"
