"""Replies that are not plain, read by h11 from their first byte."""

import h11

from thekeys_async.protocol.http import MAX_BODY, MAX_HEAD, Head, HttpError, IncompleteError
from thekeys_async.protocol.replies import Reply


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
        self._received = 0
        self._response: h11.Response | None = None
        self._body = bytearray()
        self.reusable = False

    @property
    def head(self) -> Head:
        """What the reply says before its body; to be asked for when the reply is there."""
        if self._response is None:
            raise IncompleteError
        said = self._response
        return Head(said.status_code, said.http_version, said.reason, said.headers.raw_items())

    def feed(self, data: bytes) -> Reply | None:
        """Take what came, as `thekeys_async.protocol.reading.ReplyReader.feed` does."""
        self._received += len(data)
        self._http.receive_data(data)
        try:
            return self._events()
        except h11.RemoteProtocolError:
            if not data:
                raise IncompleteError from None
            raise HttpError("the answer is not HTTP") from None

    def _events(self) -> Reply | None:
        while True:
            event = self._http.next_event()
            if self._response is None:
                self._limit_head()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    raise HttpError(f"the answer is larger than {MAX_BODY // 1024} KiB")
            elif isinstance(event, h11.EndOfMessage) and self._response:
                done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
                self.reusable = done and self._http.trailing_data == (b"", False)
                return Reply(self._response.status_code, bytes(self._body))
            elif not isinstance(event, h11.InformationalResponse):
                raise IncompleteError

    def _limit_head(self) -> None:
        """Check that all that comes before the body, interim answers among it, is within the limit."""
        if self._received - len(self._http.trailing_data[0]) > MAX_HEAD:
            raise HttpError(f"the head of the answer is larger than {MAX_HEAD // 1024} KiB")
