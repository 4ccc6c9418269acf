"""From a recording to a gateway, and from a recorded reply to what is sent."""

import os
from collections.abc import Iterable
from pathlib import Path

from thekeys_async.protocol.recording import read_recording
from thekeys_async.simulator.http.messages import Delivery, HttpResponse
from thekeys_async.simulator.recorded_gateway import RecordedGateway
from thekeys_async.simulator.recorded_reply import RecordedReply

_CLOSES = frozenset({"to be closed", "closed by the gateway"})


def read_recorded_gateway(
    recording: str | os.PathLike[str] | Iterable[str], gateway: str | None = None
) -> RecordedGateway:
    """Read what a recording tells of one gateway.

    Args:
        recording: A file's path, or the lines.
        gateway: The gateway's name in the recording; None for the first.

    Raises:
        OSError: The file can't be read.
        ValueError: It is no recording, or nothing in it is of that gateway.
    """
    if isinstance(recording, (str, os.PathLike)):
        recording = Path(recording).read_text(encoding="utf-8").splitlines()
    exchanges = list(read_recording(recording))
    wanted = gateway or (exchanges[0].gateway if exchanges else None)
    chosen = [exchange for exchange in exchanges if exchange.gateway == wanted]
    if not chosen:
        there = ", ".join(sorted({exchange.gateway for exchange in exchanges})) or "none"
        raise ValueError(f"nothing in the recording is of that gateway; there is {there}")
    return RecordedGateway(chosen)


def as_recorded(found: RecordedReply, data: bytes | None = None) -> HttpResponse:
    """Make what is sent: in the recorded pieces and times, ended as that exchange was.

    Args:
        found: The recorded exchange.
        data: The reply, if it is another than the recorded one.
    """
    raw = found.reply.encode("latin-1", "replace") if data is None else data
    delivery = Delivery.PIECES
    if not raw:
        delivery = Delivery.NEVER if found.ended == "given up" else Delivery.RESET
    close = found.closes or found.ended in _CLOSES or found.ended.startswith("broken")
    return HttpResponse(delivery=delivery, close=close, raw=raw, pieces=found.pieces)
