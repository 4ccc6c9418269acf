"""Replies that are not plain, read by h11 from their first byte.

Small servers write heads that break HTTP where nothing depends on it. What can be left out of a head without a doubt
about where the reply ends is left out before h11 sees it; what could be read in two ways stays refused.
"""

import re

import h11

from thekeys_async.protocol.replies import MAX_BODY, MAX_HEAD, Head, HttpError, IncompleteError, Reply

_BLANK_LINE = re.compile(rb"\n\r?\n")
_VERSION = re.compile(rb"(http/[0-9.]+) +", re.IGNORECASE)
_NOT_IMPLEMENTED = 501  # h11's hint at a transfer coding that it does not know
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ODD_NAME = re.compile(rb"[!-~\x80-\xff]*")  # without space and control characters, at which others may end a name
_FRAMING = re.compile(rb"content-length|transfer-encoding", re.IGNORECASE)
_NO_LENGTH = re.compile(rb'[-+][0-9]+|"[0-9]*"|')


class UnusualReader:
    """Reads one reply.

    Args:
        head_only: Whether the request was a HEAD: no body follows then, whatever the reply says.

    Attributes:
        reusable: Whether the connection may serve another request; known with the reply.
    """

    def __init__(self, *, head_only: bool) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        # As it is when a request has been sent; apart from HEAD, which one makes no difference to it.
        self._http.send(h11.Request(method="HEAD" if head_only else "GET", target="/", headers=[("Host", "gateway")]))
        self._http.send(h11.EndOfMessage())
        self._begun = bytearray()
        self._searched = 0
        self._read = 0
        self._odd = False
        self._response: h11.Response | None = None
        self._body = bytearray()
        self.reusable = False

    @property
    def head(self) -> Head:
        """The head of the reply; to be asked for when the reply is there."""
        if self._response is None:
            raise IncompleteError
        said = self._response
        return Head(said.status_code, said.http_version, said.reason, said.headers.raw_items())

    def feed(self, data: bytes) -> Reply | None:
        """Take what came, as `thekeys_async.protocol.reading.ReplyReader.feed` does."""
        try:
            if self._response is None:
                self._begun += data
                if self._take_heads():
                    if self._begun:
                        self._http.receive_data(bytes(self._begun))
                    return self._take_body()
                if not data:
                    raise IncompleteError
                return None
            if not data and self._chunked:
                # The line end after the last chunk: it says nothing any more. In the middle of a chunk it ends nothing.
                self._http.receive_data(b"\r\n")
                if reply := self._take_body():
                    self.reusable = False
                    return reply
            self._http.receive_data(data)
            return self._take_body()
        except h11.RemoteProtocolError as error:
            if not data:
                raise IncompleteError from None
            if error.error_status_hint == _NOT_IMPLEMENTED:
                raise HttpError("the answer is in a transfer coding that was not asked for") from None
            raise HttpError("the answer is not HTTP") from None

    @property
    def _chunked(self) -> bool:
        return self._response is not None and any(name == b"transfer-encoding" for name, _ in self._response.headers)

    def _take_heads(self) -> bool:
        """Take the head of the reply, and those of interim answers before it, if they have come.

        All of them together are limited, and each byte is looked at once, however they come.
        """
        while self._response is None:
            head = self._take_head()
            if self._read + (0 if head else len(self._begun)) > MAX_HEAD:
                raise HttpError(f"the head of the answer is larger than {MAX_HEAD // 1024} KiB")
            if head is None:
                return False
            lines, odd = _mended(head)
            self._odd = self._odd or odd
            self._http.receive_data(b"\n".join(lines) + b"\n\n")
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                self._response = event
            elif not isinstance(event, h11.InformationalResponse):
                raise HttpError("the answer is not HTTP")
        return True

    def _take_head(self) -> bytes | None:
        if not self._searched:
            blank = len(self._begun) - len(self._begun.lstrip(b"\r\n"))
            self._read += blank
            self._odd = self._odd or blank > 0
            del self._begun[:blank]
        end = _BLANK_LINE.search(self._begun, max(0, self._searched - 2))
        self._searched = len(self._begun)
        if end is None:
            return None
        head = bytes(self._begun[: end.start()])
        self._read += end.end()
        self._searched = 0
        del self._begun[: end.end()]
        return head

    def _take_body(self) -> Reply | None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    raise HttpError(f"the answer is larger than {MAX_BODY // 1024} KiB")
            elif isinstance(event, h11.EndOfMessage) and self._response:
                done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
                self.reusable = done and not self._odd and self._http.trailing_data == (b"", False)
                return Reply(self._response.status_code, bytes(self._body))
            else:
                raise IncompleteError


def _mended(head: bytes) -> tuple[list[bytes], bool]:
    """Leave out header fields that say nothing about the reply's end; return whether there were any."""
    first, *rest = head.split(b"\n")
    fields: list[list[bytes]] = []
    for line in rest:
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1].append(line)  # folded: part of the field before it
        else:
            fields.append([line])
    lengths = sum(_name(field) == b"content-length" for field in fields)
    codings = sum(_name(field) == b"transfer-encoding" for field in fields)
    kept = [field for field in fields if not _says_nothing(field, lengths=lengths, codings=codings)]
    version = _VERSION.match(first)
    mended = version[1].upper() + b" " + first[version.end() :] if version else first
    odd = len(kept) < len(fields) or mended != first
    return [mended, *(line for field in kept for line in field)], odd


def _name(field: list[bytes]) -> bytes:
    return field[0].partition(b":")[0].lower()


def _says_nothing(field: list[bytes], *, lengths: int, codings: int) -> bool:
    """Tell whether a header field can be left out.

    No colon, or a name that no header has; `identity`, which is no coding; the only length, if it is none: then the
    reply ends with the connection.
    """
    if len(field) > 1:
        return False
    name, colon, value = field[0].partition(b":")
    value = value.strip(b" \t\r")
    if not colon or not _NAME.fullmatch(name):
        return _FRAMING.search(name) is None and (not colon or _ODD_NAME.fullmatch(name) is not None)
    match name.lower():
        case b"transfer-encoding":
            return codings == 1 and value.lower() == b"identity"
        case b"content-length":
            return lengths == 1 and _NO_LENGTH.fullmatch(value) is not None
        case _:
            return False
