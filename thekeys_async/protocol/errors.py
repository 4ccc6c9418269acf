"""The errors that a caller can meet, and the table of the gateway's numbers.

The numbers are the vendor's page's, but for 5, 38 and the second meaning of 400, which were observed in the field.
The same number means different things on different requests: `refusal` knows.
"""

import re
from collections.abc import Mapping
from types import NoneType
from typing import Any

from thekeys_async.protocol.endpoints import UPDATE, Endpoint


class TheKeysError(Exception):
    """Anything that went wrong with a gateway, a locker or the cloud.

    Attributes:
        code: The gateway's own number for it, or None.
        cause: The gateway's own words for it, or None.
        may_have_executed: Whether the command may have been carried out, now or a little later. False is a promise:
            it was not executed and never will be. Always False for a pure read.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        cause: str | None = None,
        may_have_executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause
        self.may_have_executed = may_have_executed

    def as_dict(self) -> dict[str, Any]:
        """Make a dictionary that `json.dumps` takes: ``error`` (the class's name), ``message``, and the attributes."""
        return {"error": type(self).__name__, "message": str(self), **vars(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TheKeysError":
        """Make an error of what `as_dict` has made; a class that is not known becomes `TheKeysError`.

        Raises:
            ValueError: A key is missing.
            TypeError: A value is of another type.
        """
        kind = _kinds(TheKeysError).get(str(values.get("error")), TheKeysError)
        if not {"message", *_ATTRIBUTES} <= values.keys():
            raise ValueError("an error has message, code, cause and may_have_executed")
        for name, types in _ATTRIBUTES.items():
            if type(values[name]) not in types:
                raise TypeError(f"an error's {name} is of another type")
        error = kind.__new__(kind)
        error.args = (str(values["message"]),)
        vars(error).update({name: values[name] for name in (*_ATTRIBUTES, "phase") if name in values})
        if "messages" in values:
            vars(error)["messages"] = tuple(map(str, values["messages"]))
        return error


_ATTRIBUTES: Mapping[str, tuple[type, ...]] = {
    "code": (int, NoneType),
    "cause": (str, NoneType),
    "may_have_executed": (bool,),
}


def _kinds(parent: type[TheKeysError]) -> dict[str, type[TheKeysError]]:
    """Find a class and all below it, by name."""
    found = {parent.__name__: parent}
    for kind in parent.__subclasses__():
        found |= _kinds(kind)
    return found


class GatewayUnreachableError(TheKeysError):
    """The request was never sent, or it was a read that got no answer, also when repeated."""


class GatewayClosedError(GatewayUnreachableError, RuntimeError):
    """The `AsyncGateway` was closed before the request was sent, or before it could be sent again; nothing was done."""


class GatewayBusyError(TheKeysError):
    """The gateway was busy until the time budget was spent; nothing was done.

    Attributes:
        phase: The phase that the gateway last told, for example ``"Synchronizing gw"``, or None.
    """

    def __init__(
        self, message: str, *, code: int | None = 500, cause: str | None = None, phase: str | None = None
    ) -> None:
        super().__init__(message, code=code, cause=cause)
        self.phase = phase


class OutcomeUnknownError(TheKeysError):
    """A command was sent and no usable answer came: nobody knows whether it was carried out.

    It was not sent again. Ask ``status()`` before deciding what to do.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        cause: str | None = None,
        may_have_executed: bool = True,
    ) -> None:
        super().__init__(message, code=code, cause=cause, may_have_executed=may_have_executed)


class ProtocolError(TheKeysError):
    """A read was answered with something that can't be understood."""


class RequestTimeoutError(TheKeysError, TimeoutError):
    """The time budget ran out before a command was sent, or sent again after a refusal; or at any time of a read."""


class MissingShareCodeError(TheKeysError):
    """No share code is known for the locker; nothing was sent."""


class CoordinationError(TheKeysError):
    """The state shared with other processes or machines can't be used; nothing was sent."""


class GatewayRefusedError(TheKeysError):
    """The gateway answered that it did not do what was asked; the subclass says why."""


class MissingParameterError(GatewayRefusedError):
    """400: a parameter is missing, named in ``cause``. Nothing happened."""


class NotSharedError(GatewayRefusedError):
    """32: the locker is not shared with this gateway. Nothing happened."""


class InvalidHmacError(GatewayRefusedError):
    """33: the hash or the timestamp was refused, also when tried again. Nothing happened."""


class LockerNotDetectedError(GatewayRefusedError):
    """34, or 1 on a locker's synchronisation or update: the gateway does not see the locker. Nothing happened."""


class LockerIncompatibleError(GatewayRefusedError):
    """35, or 2 on a locker's synchronisation or update: locker and gateway do not fit. Nothing happened."""


class InvalidKeyError(GatewayRefusedError):
    """36: the locker refused the key; check that the share exists and the locker is synchronised. Nothing happened."""


class LockerFaultError(GatewayRefusedError):
    """37, or 4 and 5 on a locker's synchronisation or update: the Bluetooth connection failed or dropped.

    The command may have been carried out all the same.
    """


class GatewayClockError(GatewayRefusedError):
    """38: the gateway's clock is not set (observed, not on the vendor's page). Nothing happened."""


class InvalidSynchronizationDataError(GatewayRefusedError):
    """3: the vendor's cloud returned invalid synchronisation data. Nothing happened."""


class InvalidFirmwareError(GatewayRefusedError):
    """1 on the gateway's update: invalid firmware, usually a failed download. Nothing happened."""


class FirmwareUnavailableError(GatewayRefusedError):
    """2 on the gateway's update: the vendor's cloud did not return the firmware. Nothing happened."""


BUSY = 500
"""The number of "another action is in progress"; nothing was done."""

MISSING_PARAMETER = 400
INVALID_HMAC = 33
NOT_DETECTED = 34
CLOCK_NOT_SET = 38

_UNDER_WAY = re.compile(r"already (started|running|under ?way|in progress)|in progress", re.IGNORECASE)

_Meaning = tuple[type[GatewayRefusedError], str]

_SIGNED: Mapping[int, _Meaning] = {
    MISSING_PARAMETER: (MissingParameterError, "a parameter is missing"),
    32: (NotSharedError, "the locker is not shared with this gateway"),
    INVALID_HMAC: (
        InvalidHmacError,
        "the hash was refused: a wrong share code, another program with newer timestamps, or a gateway clock behind",
    ),
    NOT_DETECTED: (LockerNotDetectedError, "the gateway does not detect the locker"),
    35: (LockerIncompatibleError, "the locker is not compatible with the gateway"),
    36: (InvalidKeyError, "the locker refused the key: is the share there, and the locker synchronised?"),
    37: (LockerFaultError, "the Bluetooth connection to the locker failed, dropped or timed out"),
    CLOCK_NOT_SET: (GatewayClockError, "the gateway's clock is not set"),
}
_LOCKER: Mapping[int, _Meaning] = {
    1: (LockerNotDetectedError, "the gateway does not detect the locker"),
    2: (LockerIncompatibleError, "the locker is not compatible with the gateway"),
    3: (InvalidSynchronizationDataError, "the vendor's cloud returned invalid synchronisation data"),
    4: (LockerFaultError, "the connection to the locker failed"),
    5: (LockerFaultError, "the connection to the locker failed"),
}
_UPDATE: Mapping[int, _Meaning] = {
    1: (InvalidFirmwareError, "the firmware is invalid, usually because its download failed"),
    2: (FirmwareUnavailableError, "the vendor's cloud did not return the firmware"),
}
_NOTHING: Mapping[int, _Meaning] = {}


def _table(endpoint: Endpoint) -> Mapping[int, _Meaning]:
    if endpoint.signed:
        return _SIGNED
    if endpoint is UPDATE:
        return _UPDATE
    return _LOCKER if "identifier" in endpoint.fields else _NOTHING


def refusal(endpoint: Endpoint, code: int, cause: str | None) -> TheKeysError | None:
    """Make the error that a gateway's number stands for.

    Args:
        endpoint: The request.
        code: The number in the reply.
        cause: The words in the reply.

    Returns:
        The error, or None for a number that means nothing on this endpoint.
    """
    words = f" ({cause})" if cause else ""
    if code == BUSY or (code == MISSING_PARAMETER and cause and _UNDER_WAY.search(cause)):
        return GatewayBusyError(f"the gateway is busy with another action{words}", code=code, cause=cause)
    meaning = _table(endpoint).get(code)
    if meaning is None:
        return None
    error, text = meaning
    return error(
        f"{endpoint.name}: {text}{words}",
        code=code,
        cause=cause,
        may_have_executed=endpoint.command and error is LockerFaultError,
    )


def unusable(
    endpoint: Endpoint, why: str, *, code: int | None = None, cause: str | None = None
) -> ProtocolError | OutcomeUnknownError:
    """Make the error for an answer that can't be understood: a read's or a command's."""
    if endpoint.command:
        return OutcomeUnknownError(
            f"{endpoint.name} was sent, and may have been carried out: {why}", code=code, cause=cause
        )
    return ProtocolError(f"{endpoint.name}: {why}", code=code, cause=cause)
