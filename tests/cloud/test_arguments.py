"""What a `Cloud` accepts: phone numbers, passwords, addresses; and what it will not send a password to."""

import ssl

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

from thekeys_async.cloud import Clock, Cloud, CloudUnreachableError
from thekeys_async.cloud.models import international


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("+33612345678", None, "+33612345678"),
        ("+33 6 12 34 56 78", None, "+33612345678"),
        ("+49 (170) 123-45.67", None, "+491701234567"),
        ("0612345678", "FR", "+33612345678"),
        ("06.12.34.56.78", "FR", "+33612345678"),
        ("0033612345678", "FR", "+33612345678"),
        ("+491701234567", "FR", "+491701234567"),
    ],
)
def test_phone_numbers(written, country, expected):
    assert international(written, country) == expected


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("0612345678", None),
        ("0033612345678", None),
        ("612345678", "FR"),
        ("061234567", "FR"),
        ("+0612345678", None),
        ("+33٦12345678", None),
        ("camille@example.org", None),
        ("", None),
        ("+33612345678", "DE"),
    ],
)
def test_other_numbers_are_refused_with_an_example(written, country):
    with pytest.raises(ValueError, match=r"\+33612345678|FR"):
        Cloud(written, "x", country=country)


@pytest.mark.parametrize("password", ["", None, b"bytes", "\ud800"])
def test_a_password_is_text(password):
    with pytest.raises(ValueError, match="password"):
        Cloud("+33612345678", password)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_positive(timeout):
    with pytest.raises(ValueError, match="timeout"):
        Cloud("+33612345678", "x", timeout=timeout)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.the-keys.fr",
        "https://proxy.example:8443/the-keys/",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://[::1]:8080",
        "http://localhost",
    ],
)
def test_a_url_to_send_a_password_to(url):
    Cloud("+33612345678", "x", base_url=url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.the-keys.fr", "https"),
        ("http://localhost.example", "https"),
        ("http://127.0.0.1.example", "https"),
        ("http://192.168.0.26", "https"),
        ("http://2130706433", "host name or an IP"),
        ("ftp://127.0.0.1", "https://host"),
        ("api.the-keys.fr", "https://host"),
        ("https://", "https://host"),
        ("https:///api", "https://host"),
        ("https://user:pass@api.the-keys.fr", "no user name"),
        ("https://@api.the-keys.fr", "no user name"),
        ("https://api.the-keys.fr/?x=1", "query"),
        ("https://api.the-keys.fr?", "query"),
        ("https://api.the-keys.fr/#x", "fragment"),
        ("https://api.the-keys.fr#", "fragment"),
        ("https://api%2ethe-keys.fr", "percent-encoded"),
        ("http://127%2e0.0.1", "percent-encoded"),
        ("https://api.the-keys.fr/%2e%2e/x", "percent-encoded"),
        ("https://api.the-keys.fr/../x", "dots"),
        ("https://api.the-keys.fr:0", "port"),
        ("http://127.0.0.1:0", "port"),
        ("https://api.the-keys.fr:", "port"),
        ("https://api.the-keys.fr:99999999", "port"),
        ("https://api.the-keys.fr:-1", "port"),
        ("https://::1", "host name or an IP"),
        ("https://api.the-\nkeys.fr", "control"),
        ("https://api.the-keys.fr\r\n", "control"),
        ("https://api.the-keys.fr\t", "control"),
        (" https://api.the-keys.fr", "blanks"),
        ("https://api.the-keys.fr\\@evil.example", "backslash"),
        ("https://api.the\u2024keys.fr", "ASCII"),
        ("", "https://host"),
        (None, "text"),
    ],
)
def test_a_url_not_to_send_a_password_to(url, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        Cloud("+33612345678", "x", base_url=url)
    assert "pass@" not in str(caught.value)


@pytest.mark.anyio
async def test_a_server_whose_certificate_nobody_vouches_for_hears_nothing():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    heard = []

    async def serve(stream):
        async with stream:
            heard.append(await stream.receive())

    async def hang_up(_error, stream):
        await stream.aclose()

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(tcp, context)
    listener.handle_handshake_error = hang_up
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = tcp.extra(SocketAttribute.local_port)
        async with Cloud("+33612345678", "x", base_url=f"https://127.0.0.1:{port}", clock=no_pauses()) as cloud:
            with pytest.raises(CloudUnreachableError, match=r"(?i)certificate"):
                await cloud.lockers()
        tasks.cancel_scope.cancel()
    assert heard == []


def no_pauses():
    async def sleep(_seconds):
        await anyio.lowlevel.checkpoint()

    return Clock(sleep=sleep)
