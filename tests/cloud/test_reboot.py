"""The reboot of a gateway that hangs, through the account's web pages."""

import logging
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings, strategies as st

from thekeys_async import AsyncGateway, GatewayUpdate, Pacing
from thekeys_async.cloud import (
    AuthenticationError,
    Clock,
    Cloud,
    CloudError,
    CloudProtocolError,
    CloudUnreachableError,
    NotFoundError,
)
from thekeys_async.simulator import Fault
from thekeys_async.streams import gateway_changes

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.fixture
async def hanging(home):
    home.gateway.settings.restart = 0.02
    home.gateway.start_synchronizing()
    return home


async def test_a_gateway_that_hangs_is_rebooted(hanging):
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        await cloud.reboot(gateway)
        assert hanging.gateway.phase == "Scanning..."
        hanging.gateway.start_synchronizing()
        await cloud.reboot(gateway.id)
        assert hanging.gateway.phase == "Scanning..."
        assert (await cloud.gateways())[0] == gateway, "the other calls go on with their token"
    assert hanging.calls("reboot") == 2


async def test_a_wrong_password_reboots_nothing(hanging):
    async with hanging.cloud(password="wrong") as cloud:
        with pytest.raises(AuthenticationError) as caught:
            await cloud.reboot(1)
    assert not caught.value.may_have_executed
    assert hanging.calls("reboot") == 0


async def test_a_gateway_that_the_account_has_not(hanging):
    async with hanging.cloud() as cloud:
        with pytest.raises(NotFoundError) as caught:
            await cloud.reboot(99)
    assert not caught.value.may_have_executed


async def test_an_answer_that_is_lost_may_have_rebooted_and_is_not_asked_again(hanging):
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        hanging.server.fail(Fault.RESET_AFTER, on="reboot")
        with pytest.raises(CloudUnreachableError) as caught:
            await cloud.reboot(gateway)
    assert caught.value.may_have_executed
    assert hanging.calls("reboot") == 1


async def test_a_log_in_that_fails_in_passing_is_tried_again(hanging):
    hanging.server.fail(Fault.RESET_BEFORE, on="web_login", times=2)
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        await cloud.reboot(gateway)
    assert hanging.gateway.phase == "Scanning..."


async def test_a_cancelled_reboot_leaves_a_warning(hanging, caplog):
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        hanging.server.fail(Fault.HANG_AFTER, on="reboot")
        with caplog.at_level(logging.WARNING):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cloud.reboot, gateway)
                await hanging.server.wait_for_requests(1, on="reboot")
                tasks.cancel_scope.cancel()
    assert "rebooting" in caplog.text


def answering(login, reboot=None):
    """A client of a cloud that answers so; requests are kept in `client.seen`."""

    def reply(request):
        seen.append(request)
        return login if "login_check" in request.url.path else reboot

    seen = []
    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    client.seen = seen
    return client


def sent_to(location, *cookies, status=302):
    return httpx.Response(status, headers=[("location", location), *(("set-cookie", cookie) for cookie in cookies)])


IN = ("/fr/compte", "PHPSESSID=s3ss10n; path=/; HttpOnly", "REMEMBERME=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT")


async def test_the_session_is_a_cookie_that_goes_back_and_nowhere_else():
    async with answering(sent_to(*IN), sent_to("https://api.the-keys.fr/fr/compte/accessoire/7/view")) as client:
        await Cloud("+33612345678", "x", client=client).reboot(7)
        login, reboot = client.seen
    assert (login.method, login.url.path) == ("POST", "/auth/fr/login_check")
    assert login.content == b"_username=%2B33612345678&_password=x"
    assert (reboot.method, reboot.url.path) == ("GET", "/fr/compte/accessoire/7/reboot")
    assert "PHPSESSID=s3ss10n" in reboot.headers["cookie"]
    assert "authorization" not in reboot.headers


async def test_a_page_may_be_compressed_for_only_its_head_is_read():
    packed = ("content-encoding", "gzip")
    pages = [sent_to(*IN), sent_to("/fr/compte/accessoire/7/view")]
    pages = [httpx.Response(each.status_code, headers=[*each.headers.multi_items(), packed]) for each in pages]
    async with answering(*pages) as client:
        await Cloud("+33612345678", "x", client=client).reboot(7)
    assert len(client.seen) == 2


@pytest.mark.parametrize(
    ("login", "reboot", "kind", "may_have_executed"),
    [
        (sent_to("/auth/fr/login"), None, AuthenticationError, False),
        (sent_to("https://api.the-keys.fr/auth/fr/login?x=1"), None, AuthenticationError, False),
        (httpx.Response(401), None, AuthenticationError, False),
        (httpx.Response(200, text="<html>"), None, CloudProtocolError, False),
        (sent_to(*IN), sent_to("/auth/fr/login"), AuthenticationError, False),
        (sent_to(*IN), sent_to("/fr/compte"), CloudProtocolError, True),
        (sent_to(*IN), sent_to("/fr/compte/accessoire/8/view"), CloudProtocolError, True),
        (sent_to(*IN), httpx.Response(200, text="<html>"), CloudProtocolError, True),
        (sent_to(*IN), httpx.Response(404), NotFoundError, False),
        (sent_to(*IN), httpx.Response(500), CloudUnreachableError, True),
    ],
)
async def test_what_the_pages_say(login, reboot, kind, may_have_executed):
    async with answering(login, reboot) as client:
        with pytest.raises(CloudError) as caught:
            await Cloud("+33612345678", "x", client=client).reboot(7)
    assert type(caught.value) is kind
    assert caught.value.may_have_executed is may_have_executed
    assert "s3ss10n" not in repr(caught.value) + str(vars(caught.value))


async def no_pause(_seconds):
    await anyio.lowlevel.checkpoint()


@settings(max_examples=100)
@given(
    cookies=st.lists(st.binary(max_size=60) | st.text('ab=;, \t"\\', max_size=20).map(str.encode), max_size=4),
    location=st.binary(max_size=60) | st.sampled_from([b"/fr/compte", b"http://[", b"//\xed:99999", b""]),
)
def test_whatever_the_pages_set_is_a_cloud_error_or_done(cookies, location):
    headers = [(b"location", location), *((b"set-cookie", cookie) for cookie in cookies)]

    async def reboot():
        async with answering(httpx.Response(302, headers=headers), sent_to("/fr/compte/accessoire/7/view")) as client:
            with suppress(CloudError):
                await Cloud("+33612345678", "x", client=client, clock=Clock(sleep=no_pause)).reboot(7)
            for request in (each for each in client.seen if "reboot" in each.url.path):
                assert re.fullmatch(r"[!-~]+=[!-~]+(; [!-~]+=[!-~]+)*|", request.headers.get("cookie", ""))

    anyio.run(reboot)


async def test_what_httpcore_writes_down_at_debug_keeps_all_but_the_cookie(hanging, caplog):
    caplog.set_level(logging.DEBUG)
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        await cloud.reboot(gateway)
    heads = [message for message in caplog.messages if "receive_response_headers.complete" in message]
    assert len(heads) == 5, "log-in, account, gateway, the pages' log-in, reboot"
    (session,) = hanging.server._tables._sessions
    assert not [message for message in caplog.messages if session in message]
    (setting,) = [head for head in heads if "Set-Cookie" in head]
    assert "b'***'" in setting
    assert "/fr/compte" in setting, "the rest of it stays"


async def test_no_session_is_kept(hanging):
    async with hanging.cloud() as cloud:
        (gateway,) = await cloud.gateways()
        await cloud.reboot(gateway)
        assert not cloud._connection._client.cookies


@pytest.fixture
def reboot_what_hangs():
    """The program in docs/streams.md."""
    page = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```python\n(# rebooting\.py\n.*?)```", page, flags=re.DOTALL)
    names = {}
    exec(compile(text, "rebooting.py", "exec"), names)
    return names["reboot_what_hangs"]


async def heard(gateway, times=2):
    """Wait until the watcher has asked so many times more; twice, and it has surely heard what the gateway says now."""
    asked = sum(record.endpoint == "status" for record in gateway.requests)
    await gateway.wait_for_requests(asked + times, on="status")


async def test_a_watcher_reboots_what_hangs_once(hanging, reboot_what_hangs, monkeypatch, caplog):
    soon = timedelta(milliseconds=30)
    monkeypatch.setattr(gateway_changes, "HANGS_AFTER", soon)
    pacing = Pacing(0, 0)
    async with (
        hanging.cloud() as cloud,
        AsyncGateway(hanging.gateway.address, name="Gateway 1", pacing=pacing) as gateway,
        gateway.watch(0.01, status_interval=0.01) as updates,
        anyio.create_task_group() as tasks,
    ):
        hanging.server.reply_next(b"<html>", on="web_login")
        tasks.start_soon(reboot_what_hangs, updates, cloud, soon)
        await hanging.server.wait_for_requests(1, on="web_login")
        await heard(hanging.gateway, times=1)
        assert hanging.calls("web_login") == 1, "a hang is news once"
        assert "could not be rebooted" in caplog.text
        hanging.gateway.stop_synchronizing()
        await heard(hanging.gateway)
        hanging.gateway.start_synchronizing()
        await hanging.server.wait_for_requests(1, on="reboot")
        tasks.cancel_scope.cancel()
    assert hanging.gateway.phase == "Scanning..."


async def test_a_synchronisation_that_takes_its_time_is_left_alone(home, reboot_what_hangs):
    async def told():
        async with home.cloud() as cloud:
            at = (await cloud.gateways())[0].last_seen
        for phase, seconds in (("Scanning...", 9000), ("Synchronizing gw", 599), (None, 9000)):
            since = at - timedelta(seconds=seconds)
            yield GatewayUpdate(gateway="Gateway 1", reachable=True, phase=phase, phase_since=since, at=at)
        yield GatewayUpdate(gateway="Gateway 1", reachable=True, phase="Synchronizing gw", at=at)

    async with home.cloud() as cloud:
        await reboot_what_hangs(told(), cloud)
    assert home.calls("reboot") == 0
