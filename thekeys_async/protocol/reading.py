"""From bytes to a reply.

The plain replies that gateways send take a short, strict path; everything unusual goes to h11, from its first byte.
"""

import re
from typing import TYPE_CHECKING

from thekeys_async.protocol.replies import MAX_BODY, MAX_HEAD, Head, IncompleteError, Reply

if TYPE_CHECKING:
    from thekeys_async.protocol.h11_reading import UnusualReader

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def _lines(close: bytes) -> bytes:
    """Match header lines that don't tell where the reply ends; a group of this name tells of Connection: close."""
    return (
        rb"(?:(?!(?i:content-length|connection|transfer-encoding|upgrade):)" + _NAME + rb":[ -~]*\r\n"
        rb"|(?i:connection):[ ]*(?:(?P<" + close + rb">(?i:close))|(?i:keep-alive))[ ]*\r\n)*"
    )


# The whole head of a plain reply: exactly one length, no other framing, no byte that could be read in two ways.
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 (?P<status>[2-5][0-9]{2})(?: (?P<reason>[ -~]*))?\r\n"
    rb"(?P<headers>"
    + _lines(b"close")
    + rb"(?i:content-length):[ ]*(?P<length>[0-9]{1,5})[ ]*\r\n"
    + _lines(b"close_too")
    + rb")"
    rb"\r\n"
)
_MOST_PIECES = 64  # each is looked at together with those before it
_WITHOUT_BODY = frozenset({b"204", b"205", b"304"})


class ReplyReader:
    """Reads the reply to one request from the bytes of a connection.

    Args:
        head_only: Whether the request was a HEAD: no body follows then, whatever the reply says.

    Attributes:
        reusable: Whether the connection may serve another request; known with the reply.
    """

    __slots__ = ("_begun", "_head_only", "_pieces", "_plain", "_unusual", "reusable")

    def __init__(self, *, head_only: bool = False) -> None:
        self._head_only = head_only
        self._begun: bytes = b""
        self._pieces = 0
        self._plain: re.Match[bytes] | None = None
        self._unusual: UnusualReader | None = None
        self.reusable = False

    def feed(self, data: bytes) -> Reply | None:
        """Take what came; empty for the connection's end.

        Returns:
            The reply when it is complete.

        Raises:
            HttpError: It is not HTTP, or too large.
            IncompleteError: The connection has ended within it.
        """
        if self._unusual is None:
            if not data:
                raise IncompleteError
            data = self._begun + data
            head = self._plain_head(data)
            missing = head.end() + int(head["length"]) - len(data) if head else 1
            if head and missing == 0:
                self._plain = head
                self.reusable = head["close"] is head["close_too"] is None
                return Reply(int(head["status"]), data[head.end() :])
            self._pieces += 1
            if missing > 0 and self._pieces < _MOST_PIECES and (head or _may_become_plain(data)):
                self._begun = data
                return None
            self._unusual = _unusual_reader(head_only=self._head_only)
        reply = self._unusual.feed(data)
        self.reusable = self._unusual.reusable
        return reply

    @property
    def head(self) -> Head:
        """The head of the reply; to be asked for when the reply is there."""
        if self._unusual:
            return self._unusual.head
        if self._plain is None:
            raise IncompleteError
        lines = (line.partition(b":") for line in self._plain["headers"].splitlines())
        headers = [(name, value.strip(b" ")) for name, _, value in lines]
        return Head(int(self._plain["status"]), b"1.1", self._plain["reason"] or b"", headers)

    def _plain_head(self, data: bytes) -> re.Match[bytes] | None:
        head = _PLAIN_HEAD.match(data)
        if head is None or head.end() > MAX_HEAD or int(head["length"]) > MAX_BODY:
            return None
        return None if self._head_only or head["status"] in _WITHOUT_BODY else head


def _may_become_plain(data: bytes) -> bool:
    """Tell whether this is the beginning of a head: some gateways send it line by line."""
    ended = b"\n\n" in data or b"\n\r\n" in data
    return data.startswith(b"HTTP/1.1 ") and len(data) <= MAX_HEAD and not ended


def _unusual_reader(*, head_only: bool) -> "UnusualReader":
    from thekeys_async.protocol.h11_reading import UnusualReader  # noqa: PLC0415 - few gateways ever need h11

    return UnusualReader(head_only=head_only)
