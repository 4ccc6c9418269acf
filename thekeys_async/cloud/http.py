"""One HTTP exchange with the cloud: the addresses that are allowed, the limits, and the outcome.

httpx's own frames hold headers and bodies in plain text, so none of its exceptions leaves this module with its
traceback: failures come out as values.
"""

import ipaddress
import re
import ssl
from collections.abc import Iterable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urlencode, urlsplit

import attrs
import httpx

from thekeys_async.cloud.fields import Fields
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import mask, printable

Form = Mapping[str, "str | Secret"]
"""The fields of a form; secrets stay wrapped until they are sent."""

MAX_BODY: Final = 1_000_000
"""The longest answer that is read, in bytes."""

_LONGEST_WORDS = 300
_ENCODED = 3  # characters for one, percent-encoded
_COOKIE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})=([!#-+./0-:<-\[\]-~-]{1,4000})\s*(?:;|$)")
_SECONDS = re.compile(r"[0-9]{1,9}")
_SILENCE = 10.0
# A change on a kept connection that the server is just closing would end with nobody knowing whether it was made.
_LIMITS = httpx.Limits(max_keepalive_connections=0)
_UNSENT = (httpx.ConnectTimeout, httpx.PoolTimeout)
# ValueError and OSError: a nonsensical Location, port or character set gets past httpx's own classes.
_FAILED = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)


@attrs.frozen
class WebCall:
    """One request to the cloud.

    Attributes:
        what: The purpose, for messages: ``"create a share"``.
        path: The path, percent-encoded.
        form: The form to post; None asks with GET.
        cookies: The cookies that a browser would send.
        changes: Whether it creates, changes or deletes something, so that it can't just be repeated.
    """

    what: str
    path: str
    form: Form | None = attrs.field(default=None, repr=False)
    changes: bool = False
    cookies: Mapping[str, Secret] = attrs.field(factory=dict[str, Secret], repr=False)

    @property
    def secrets(self) -> list[Secret]:
        """The secrets in the form and the cookies."""
        return [value for value in (*(self.form or {}).values(), *self.cookies.values()) if isinstance(value, Secret)]


@attrs.frozen
class WebAnswer:
    """The cloud's answer to a web call.

    Attributes:
        status: The HTTP status, or the worse one inside the body.
        fields: The JSON object; None if the body is none.
        location: The path to which a browser is sent; empty if it is sent nowhere.
        cookies: The cookies that a browser would keep.
        retry_after: Seconds for which the cloud asks to be left alone; 0 if it names none.
        unread: Why the body has no fields; empty if it has.
    """

    status: int
    fields: Fields | None
    location: str = attrs.field(default="", repr=False)
    cookies: Mapping[str, Secret] = attrs.field(factory=dict[str, Secret], repr=False)
    retry_after: float = 0.0
    unread: str = ""


@attrs.frozen
class NoAnswer:
    """The outcome of a web call without a whole answer.

    Attributes:
        reason: The reason, in words that hold no secret.
        sent: Whether the request may have arrived.
    """

    reason: str
    sent: bool


class WebConnection:
    """The connection to the cloud.

    Args:
        base_url: Where it is; https, or http on the loopback.
        client: The caller's, which stays open; None makes one.

    Attributes:
        on_loopback: Whether it is on this machine.

    Raises:
        ValueError: The URL is not one to send a password to.
    """

    def __init__(self, base_url: str, client: httpx.AsyncClient | None) -> None:
        self._base, self.on_loopback = _checked(base_url)
        self._client = client
        self._owned = client is None
        self._closed = False

    async def aclose(self) -> None:
        """Close the connections, but not the caller's client."""
        self._closed = True
        if self._owned and self._client is not None:
            await self._client.aclose()

    async def exchange(self, request: WebCall, token: Secret | None) -> WebAnswer | NoAnswer:
        """Send a request once and read what comes back.

        Raises:
            RuntimeError: The connection was closed.
        """
        if self._closed:
            raise RuntimeError("this Cloud is closed")
        client = self._client = self._client or self._make_client()
        try:
            async with client.stream(
                "GET" if request.form is None else "POST",
                self._base + request.path,
                content=None if request.form is None else _encoded(request.form),
                headers=_headers(request, token),
                auth=None,
                follow_redirects=False,
                # A read is given up early so that it can be tried again; a change waits as long as its call may.
                timeout=httpx.Timeout(_SILENCE, read=None if request.changes else _SILENCE),
            ) as response:
                return await _read(response)
        except httpx.ConnectError as error:
            words = safe_words(_words(error), [*request.secrets, *([token] if token else [])])
            return NoAnswer(f"no connection ({words})", sent=False)
        except _FAILED as error:
            return NoAnswer(
                f"the exchange broke off ({type(error).__name__})",
                sent=not (self._owned and isinstance(error, _UNSENT)),
            )
        except BaseException as error:  # noqa: BLE001 - raised again, whatever it is
            # Cancellation, for example: it goes on, without the frames that hold the body.
            raise error.with_traceback(None) from None

    def _make_client(self) -> httpx.AsyncClient:
        if self._base.lower().startswith("http:"):
            # Only ever on the loopback: nothing to encrypt, and loading all the authorities takes a while.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client = httpx.AsyncClient(limits=_LIMITS, trust_env=False, verify=context)
        else:
            # On the Internet a proxy is the user's business (TLS goes through it); the loopback is never behind one.
            client = httpx.AsyncClient(limits=_LIMITS, trust_env=not self.on_loopback)
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a session is for its one call
        return client


def _checked(base_url: str) -> tuple[str, bool]:
    """Return the URL without a slash at its end, and whether it is on the loopback.

    Raises:
        ValueError: It is not one to send a password to.
    """
    # Looked at as it was written: parsers drop line ends, decode a host, and take an empty query for none.
    written: object = base_url
    if not isinstance(written, str) or not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise ValueError("the base URL is ASCII text without blanks or control characters: https://host")
    if "\\" in base_url:
        raise ValueError("the base URL holds no backslash")
    scheme, separator, rest = base_url.partition("://")
    authority, _, path = rest.partition("/")
    if not separator or scheme.lower() not in {"https", "http"} or not authority:
        raise ValueError("the base URL is https://host")
    if "@" in rest or "?" in rest or "#" in rest:
        raise ValueError("the base URL holds no user name, query or fragment")
    if "%" in authority:
        raise ValueError("the host of the base URL is written as it is, not percent-encoded")
    if "%" in path or {".", ".."} & set(path.split("/")):
        raise ValueError("the path of the base URL is plain: not percent-encoded, and without dots")
    host = _host(authority)
    if scheme.lower() == "http" and not _is_loopback(host):
        raise ValueError("the base URL has to be https: a password is sent there")
    return base_url.rstrip("/"), _is_loopback(host)


def _host(authority: str) -> str:
    try:
        address, port = Address.parse(authority), urlsplit(f"//{authority}").port
    except ValueError:
        address, port = None, None
    if address is None or port == 0 or authority.endswith(":") or (":" in address.host and "[" not in authority):
        raise ValueError("the base URL has a host name or an IP address, and a port from 1 to 65535 if any")
    return address.host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _encoded(form: Form) -> bytes:
    """Write a form as a body; this is where secrets come out of their wrapping."""
    plain = ((name, value.reveal() if isinstance(value, Secret) else value) for name, value in form.items())
    return urlencode(list(plain)).encode("ascii")


def _headers(request: WebCall, token: Secret | None) -> dict[str, str]:
    cookies = request.cookies
    return {
        "Accept": "application/json",
        # A short body can unpack to a very long one: ask for none packed, and read none.
        "Accept-Encoding": "identity",
        **({"Content-Type": "application/x-www-form-urlencoded"} if request.form is not None else {}),
        **({"Authorization": f"Bearer {token.reveal()}"} if token else {}),
        **({"Cookie": "; ".join(f"{name}={value.reveal()}" for name, value in cookies.items())} if cookies else {}),
    }


def safe_words(words: str, secrets: Iterable[Secret]) -> str:
    """Make somebody else's words fit for people: without our secrets, printable and short.

    They are cut twice, since masking takes time: at first so far behind the end that no secret is cut through.

    Args:
        words: The words.
        secrets: The secrets that may stand in them.
    """
    known = list(secrets)
    longest = max((len(secret.reveal()) for secret in known), default=0)
    words = words[: _LONGEST_WORDS + _ENCODED * longest]
    for secret in known:
        words = mask(words, secret.reveal())
    return printable(words)[:_LONGEST_WORDS]


def _words(error: BaseException) -> str:
    """Return an error's words; on some event loops only its cause has them, such as a bad certificate."""
    cause = error.__cause__ or error.__context__
    return str(error) or (_words(cause) if cause else type(error).__name__)


async def _read(response: httpx.Response) -> WebAnswer:
    headers, fields, unread = response.headers, None, "compressed, which was not asked for"
    if headers.get("content-encoding", "identity") == "identity":
        body = await _body(response)
        fields = None if body is None else Fields.parse(body)
        unread = "" if fields else "too long" if body is None else "not a JSON object"
    return WebAnswer(
        status=_worse(response.status_code, fields),
        fields=fields,
        location=_location(headers),
        cookies=_cookies(headers),
        retry_after=_retry_after(headers),
        unread=unread,
    )


def _retry_after(headers: httpx.Headers) -> float:
    """Read for how many seconds to wait; a date is not read, for clocks differ."""
    written: str = headers.get("retry-after", "")
    return float(written) if _SECONDS.fullmatch(written) else 0.0


def _location(headers: httpx.Headers) -> str:
    """Read the path of a redirection."""
    location: str = headers.get("location", "")
    try:
        return urlsplit(location).path
    except ValueError:
        return ""


def _cookies(headers: httpx.Headers) -> dict[str, Secret]:
    """Read the cookies that an answer sets; one that is emptied is taken away."""
    return {found[1]: Secret(found[2]) for line in headers.get_list("set-cookie") if (found := _COOKIE.match(line))}


async def _body(response: httpx.Response) -> bytes | None:
    """Read a body; None for one that is too long."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                # The loop ends from inside: leaving it would leave httpx's generators half-way.
                await response.aclose()
    except _FAILED:
        if len(body) <= MAX_BODY:
            raise
    return bytes(body) if len(body) <= MAX_BODY else None


def _worse(status: int, fields: Fields | None) -> int:
    """Return the status that counts: errors have been seen with HTTP 200 and their number in the JSON."""
    inside = fields.number("status") if fields else None
    return inside if inside is not None and status < 400 <= inside < 600 else status  # noqa: PLR2004 - as in HTTP
