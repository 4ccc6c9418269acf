"""The recorder: writes a gateway's exchanges to a file that may be sent to strangers."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO, cast

import anyio

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.anonymizing import Anonymizer
from thekeys_async.protocol.recording import RecordedExchange, header, line
from thekeys_async.protocol.text import Masker

if TYPE_CHECKING:
    from thekeys_async.calls.attempt import CallAttempt
    from thekeys_async.protocol.secrets import ShareCode
    from thekeys_async.transport.wire import ExchangeTrace

_log = logging.getLogger("thekeys_async")
_MOST_HASHES = 200
_WORDS_OF_GATEWAYS = frozenset({"", "gateway", "locker", "lock", "door", "open", "closed", "busy", "error", "ok", "ko"})


class Recorder:
    """Writes every exchange with the gateways that it is given to (``record=``) as a line of JSON.

    Share codes and hashes are left out, identifiers, serial numbers, addresses and names are replaced, always by the
    same: see the page on recordings. Use it as ``with Recorder("gateway.jsonl") as recorder:``, or close it.

    Args:
        file: Where to write: a path, whose file must not be there yet and is made for the user alone, or an open text
            file, which stays open.

    Raises:
        OSError: The file is there already, or can't be made.
    """

    def __init__(self, file: str | os.PathLike[str] | TextIO) -> None:
        self._own = _new(Path(file)) if isinstance(file, str | os.PathLike) else None
        self._file: TextIO = self._own or cast("TextIO", file)
        self._anonymizer = Anonymizer()
        self._codes: dict[ShareCode, None] = {}
        self._codes_masker, self._hashes, self._older_hashes = Masker(), Masker(), Masker()
        self._signed = 0
        self._ended = False
        self._file.write(header() + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it is its own."""
        if self._own:
            try:
                self._own.close()
            except OSError as error:  # what was buffered can't be written
                _log.warning("the recording is not whole (%s)", error.strerror)

    def take_down(self, gateway: str, tried: "CallAttempt") -> None:
        """Write one attempt; nothing for one that ended before it began.

        A door does not depend on it: if the file can't be written, the recording ends, with one warning.
        """
        trace = tried.trace
        if self._ended or trace is None or (tried.error is None and not tried.sent):
            return
        try:
            self._write(gateway, tried, trace)
        except Exception as error:  # noqa: BLE001 - the file may be anybody's; whatever it raises is not the door's
            self._ended = True
            _log.warning("the recording ends here: it can't be written (%s)", _reason(error))

    def _write(self, gateway: str, tried: "CallAttempt", trace: "ExchangeTrace") -> None:
        self._remember(tried)
        now, wall = anyio.current_time(), datetime.now(UTC)
        endpoint, sent_at = tried.request.endpoint, trace.sent_at
        identifier = tried.request.identifier
        exchange = RecordedExchange(
            at=wall - timedelta(seconds=now - tried.began),
            gateway=self._anonymizer.name(gateway),
            action=endpoint.name,
            method=endpoint.method,
            path=endpoint.path,
            identifier=None if identifier is None else int(self._anonymizer.number(str(identifier))),
            lead=_lead(tried),
            connection="kept" if trace.kept else "new",
            found_closed=trace.found_closed,
            connected_after=None if trace.kept or sent_at is None else round(sent_at - tried.began, 6),
            pieces=tuple((round(at - (at if sent_at is None else sent_at), 6), len(data)) for at, data in trace.pieces),
            reply=self._fit(b"".join(data for _, data in trace.pieces), {gateway, *_hosts(tried.shared.key)}),
            ended=trace.ended if tried.sent else "not sent",
            error=type(tried.error).__name__ if tried.error else None,
        )
        self._file.write(line(exchange) + "\n")
        self._file.flush()

    def _remember(self, tried: "CallAttempt") -> None:
        """Remember the secrets that no later reply may show; the oldest hashes are forgotten."""
        code = tried.request.code
        if code is None:
            return
        if code not in self._codes:
            self._codes[code] = None
            self._codes_masker.add(code.reveal())
        if tried.stamp:
            self._signed += 1
            if self._signed % _MOST_HASHES == 0:
                self._hashes, self._older_hashes = Masker(), self._hashes
            self._hashes.add(code.sign(tried.stamp.value))

    def _fit(self, reply: bytes, names: Iterable[str]) -> str:
        """Make a reply anonymous.

        Args:
            reply: The bytes as they came.
            names: How the gateway and its host are called, which it may repeat.
        """
        said = [_as_word(name) for name in names if name.casefold() not in _WORDS_OF_GATEWAYS]

        def hide(text: str) -> str:
            text = self._hide(text)
            for name in said:
                text = name.sub(_stars, text)
            return text

        return self._anonymizer.reply(reply.decode("latin-1"), hide)

    def _hide(self, text: str) -> str:
        for masker in (self._codes_masker, self._hashes, self._older_hashes):
            text = masker.mask(text)
        return text


def _hosts(key: str) -> Iterator[str]:
    """Find the host in the key of a gateway, which is its address if nobody has said otherwise."""
    with suppress(ValueError):
        yield Address.parse(key).host


def _as_word(name: str) -> re.Pattern[str]:
    """Match a name as a word of its own: in UTF-8 as it looks in Latin-1, or escaped as in JSON."""
    written = {name.encode("utf-8", "replace").decode("latin-1"), json.dumps(name)[1:-1]}
    return re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(map(re.escape, written))})(?![0-9A-Za-z])", re.IGNORECASE)


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its file is closed" if isinstance(error, ValueError) else type(error).__name__


def _lead(tried: "CallAttempt") -> float | None:
    """Seconds that a timestamp was ahead of the clock itself, not of the one with the offset."""
    if tried.stamp is None:
        return None
    return round(float(tried.stamp.lead + tried.shared.settings.timestamps.offset), 3)


def _new(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")
