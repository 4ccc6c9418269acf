"""A recorded reply, read so that it can be given again."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from thekeys_async.protocol.endpoints import ENDPOINTS, Endpoint
from thekeys_async.protocol.recording import RecordedExchange, find_head
from thekeys_async.simulator.http.messages import Delivery, HttpResponse
from thekeys_async.simulator.locker import Bolt
from thekeys_async.simulator.replies import BOLT_WORDS
from thekeys_async.simulator.state import BUSY, DONE

_LENGTH = re.compile(r"^(content-length:\s*)[0-9]+", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(r"^transfer-encoding:\s*chunked", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"-?[0-9]{1,18}|0[xX][0-9a-fA-F]{1,16}")
_BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
BOLTS = {code: bolt for bolt, (code, _) in BOLT_WORDS.items()}
_GIVEN_UP = "given up"
_NOT_SENT = "not sent"
_UNKNOWN = -1
_CLOSES = frozenset({"to be closed", "closed by the gateway"})


def number(value: object) -> int | None:
    """Read a whole number as gateways write it: a number, or decimal or hexadecimal text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(text := value.strip()):
        return int(text, 0 if text[:2].lower() == "0x" else 10)
    return None


def written_like(written: object, value: int) -> object:
    """Write a number as another was written; what was no number stays as it is."""
    if number(written) is None:
        return written
    if isinstance(written, str):
        return hex(value) if written.strip()[:2].lower() == "0x" else str(value)
    return float(value) if isinstance(written, float) else value


@attrs.frozen
class RecordedReply:
    """One recorded reply, with its times and the end of its connection.

    Attributes:
        endpoint: The request.
        head: The head of the reply, with the empty line; empty if none came whole.
        body: Its body, out of its chunks.
        reply: All of the reply, as it came.
        pieces: When each piece of it came, in seconds after the request, and how many bytes that were.
        ended: How the exchange ended, in the recording's words.
        fields: The JSON object in the body; None is anything else.
        code: The number that it says, 0 for success; None if it says nothing of the kind.
        closes: Whether the connection was closed afterwards, though the reply did not say so.
    """

    endpoint: Endpoint
    head: str
    body: str
    reply: str
    pieces: tuple[tuple[float, int], ...]
    ended: str
    fields: Mapping[str, Any] | None
    code: int | None
    closes: bool = False

    @property
    def went_well(self) -> bool:
        """Whether a whole reply says that it was done, or what was asked for."""
        return self.code == DONE

    @property
    def seconds(self) -> float:
        """The time until the first piece of the reply came."""
        return self.pieces[0][0] if self.pieces else 0.0

    def written(self, fields: Mapping[str, Any]) -> bytes:
        """Write this reply with other fields."""
        body = self.body
        if fields != self.fields:
            compact = '": ' not in body
            body = json.dumps(fields, separators=(",", ":") if compact else None)
        framed = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n" if _CHUNKED.search(self.head) else body
        return (_LENGTH.sub(rf"\g<1>{len(body)}", self.head) + framed).encode("latin-1", "replace")

    def response(self, data: bytes | None = None) -> HttpResponse:
        """Make the response: in the recorded pieces and times, ended as that exchange was.

        Args:
            data: The reply, if it is another than the recorded one.
        """
        raw = self.reply.encode("latin-1", "replace") if data is None else data
        delivery = Delivery.PIECES
        if not raw:
            delivery = Delivery.NEVER if self.ended == _GIVEN_UP else Delivery.RESET
        close = self.closes or self.ended in _CLOSES or self.ended.startswith("broken")
        return HttpResponse(delivery=delivery, close=close, raw=raw, pieces=self.pieces)


def read_reply(exchange: RecordedExchange) -> RecordedReply | None:
    """Read an exchange; None if nothing was sent, or nobody knows what."""
    endpoint = _BY_NAME.get(exchange.action)
    if endpoint is None or exchange.ended == _NOT_SENT:
        return None
    _, end = find_head(exchange.reply)
    head, body = exchange.reply[: end or 0], exchange.body
    if _CHUNKED.search(head):
        body = _unchunked(body)
    fields = _object(body)
    whole = not exchange.ended.startswith("broken") and exchange.ended != _GIVEN_UP
    empty = endpoint.may_be_empty and bool(head) and not body.strip()
    code = (DONE if empty else _code(endpoint, fields)) if whole else None
    return RecordedReply(endpoint, head, body, exchange.reply, exchange.pieces, exchange.ended, fields, code)


def _unchunked(body: str) -> str:
    parts: list[str] = []
    while body:
        size, _, rest = body.partition("\r\n")
        try:
            length = int(size.partition(";")[0], 16)
        except ValueError:
            break
        parts.append(rest[:length])
        body = rest[length + 2 :]
    return "".join(parts)


def _object(body: str) -> Mapping[str, Any] | None:
    try:
        value: Any = json.loads(body)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _code(endpoint: Endpoint, fields: Mapping[str, Any] | None) -> int | None:
    if fields is None:
        return None
    said = [fields.get("status"), fields.get("code")]
    numbers = {found for found in map(number, said) if found}
    if endpoint.name == "locker_status" and (numbers & set(BOLTS) or _words_of_bolt(fields)):
        return DONE
    if numbers:
        return min(numbers)
    if "busy" in {str(fields.get(name)).lower() for name in ("message", "cause", "code")}:
        return BUSY
    if "ko" in said:
        return _UNKNOWN
    ok = "ok" in said or 0 in map(number, said)
    return DONE if ok or not {"devices", "version", "current_status"}.isdisjoint(fields) else None


def _words_of_bolt(fields: Mapping[str, Any]) -> Bolt | None:
    words = str(fields.get("status")).lower()
    return next((bolt for bolt, (_, text) in BOLT_WORDS.items() if text.lower() == words), None)


def bolt(fields: Mapping[str, Any]) -> Bolt:
    """Read where a bolt is."""
    told = _words_of_bolt(fields)
    codes = (number(fields.get(name)) for name in ("code", "status"))
    return told or next((BOLTS[code] for code in codes if code in BOLTS), Bolt.UNKNOWN)
