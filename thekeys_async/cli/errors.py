"""Failures of an action: the exit code, what happened to the door, and what to do next."""

import contextlib
import enum
import json
import os
import re
import sys
from collections.abc import Generator, Mapping
from typing import TextIO

import click

from thekeys_async.bridge.errors import BrokerUnreachableError, SupersededError
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cloud import errors as cloud_errors
from thekeys_async.coordination import LeaseLostError
from thekeys_async.protocol import errors
from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.protocol.text import printable


@enum.unique
class ExitCode(enum.IntEnum):
    """The end of the command, in a number.

    Of the failures, 5, 130 and 143 mean that a command may have been carried out, 10 that it was; all others that it
    was not.
    """

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    BUSY = 4
    OUTCOME_UNKNOWN = 5
    REFUSED = 6
    TIMEOUT = 7
    NOT_UNDERSTOOD = 8
    COORDINATION = 9
    NOT_THERE = 10
    SUPERSEDED = 11
    WARNED = 12
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.UNEXPECTED: "nothing done: declined at the prompt, or a failure of this computer or program",
    ExitCode.USAGE: "nothing done: a wrong flag or file, or a share code, an identifier or a log-in is missing",
    ExitCode.UNREACHABLE: "nothing done: the gateway or the cloud could not be reached, or a read got no answer",
    ExitCode.BUSY: "nothing done: the gateway stayed busy until the time was up",
    ExitCode.OUTCOME_UNKNOWN: "it MAY HAVE BEEN DONE: look at the door (or the shares) before you repeat it",
    ExitCode.REFUSED: "nothing done: the gateway, the locker or the cloud refused",
    ExitCode.TIMEOUT: "nothing done: the time was up before the command was sent, or the read answered",
    ExitCode.NOT_UNDERSTOOD: "nothing done: the answer to a read can't be understood",
    ExitCode.COORDINATION: "nothing done: the state shared with other processes can't be used",
    ExitCode.NOT_THERE: "it WAS DONE, says the gateway, but with --wait the bolt was not seen there: look at the door",
    ExitCode.SUPERSEDED: "bridge: another bridge has taken over its prefix; commands that were under way were finished",
    ExitCode.WARNED: "of check: it works, and something is to be mended or to be known",
    ExitCode.INTERRUPTED: "interrupted (SIGINT); a command MAY HAVE BEEN DONE",
    ExitCode.TERMINATED: "terminated (SIGTERM); a command MAY HAVE BEEN DONE",
}
"""The meaning of each exit code."""

_BY_ERROR: Mapping[type[BaseException], ExitCode] = {
    errors.MissingShareCodeError: ExitCode.USAGE,
    errors.GatewayUnreachableError: ExitCode.UNREACHABLE,
    errors.GatewayBusyError: ExitCode.BUSY,
    errors.OutcomeUnknownError: ExitCode.OUTCOME_UNKNOWN,
    errors.GatewayRefusedError: ExitCode.REFUSED,
    errors.RequestTimeoutError: ExitCode.TIMEOUT,
    errors.ProtocolError: ExitCode.NOT_UNDERSTOOD,
    errors.CoordinationError: ExitCode.COORDINATION,
    SupersededError: ExitCode.SUPERSEDED,
    BrokerUnreachableError: ExitCode.UNREACHABLE,
    cloud_errors.AuthenticationError: ExitCode.REFUSED,
    cloud_errors.NotFoundError: ExitCode.REFUSED,
    cloud_errors.ShareRejectedError: ExitCode.REFUSED,
    cloud_errors.CloudUnreachableError: ExitCode.UNREACHABLE,
    cloud_errors.CloudProtocolError: ExitCode.NOT_UNDERSTOOD,
    errors.TheKeysError: ExitCode.UNEXPECTED,
}


def exit_code(error: errors.TheKeysError) -> ExitCode:
    """Tell which code an error ends the command with: whether something may have been done comes first."""
    if error.may_have_executed:
        return ExitCode.OUTCOME_UNKNOWN
    return next(_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR)


def exit_code_table() -> str:
    """Write the table for the end of ``thekeys --help``."""
    return "\n".join(f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items())


class Effect(enum.Enum):
    """The things that an action may change, in the words for a failure: nothing was done, or it may have been."""

    NONE = ("no door moved", "no door moved")
    DOOR = ("the door was not moved", "the door may have moved, or may still move")
    LOCKER = ("no door moved and the locker was left as it was", "no door moved, but the locker may be changed")
    GATEWAY = ("no door moved and the gateway was left as it was", "no door moved, but the gateway may have begun")
    SHARES_READ = ("no share was changed", "no share was changed")
    REBOOT = ("no gateway was rebooted", "the gateway may be rebooting")
    BRIDGE = ("the result of each command stands on its topic", "the result of each command stands on its topic")
    SHARE = ("no share was changed", "a share may have been created, changed or deleted")

    @property
    def changes(self) -> bool:
        """Whether it is more than a read."""
        return self.value[False] != self.value[True]

    def outcome(self, *, may_have_executed: bool) -> str:
        """Say what happened to the door."""
        return self.value[may_have_executed]


class Failure(Exception):  # noqa: N818 - the end of an action, not of this program
    """An action that failed, in a sentence or two for a person and in fields for a program.

    Attributes:
        code: What the command ends with.
    """

    def __init__(self, sentence: str, code: ExitCode, fields: Mapping[str, object] | None = None) -> None:
        """Say it in ``sentence``; with ``fields``, those are printed as well, and all of it as JSON."""
        super().__init__(sentence)
        self.code = code
        self._fields = fields

    def show(self) -> None:
        """Print it on stderr, where it never mixes with data."""
        with on_stderr():
            if self._fields is None:
                click.echo(f"Error: {self}", err=True)
            else:
                click.echo(json.dumps({**self._fields, "message": str(self), "exit_code": int(self.code)}), err=True)


BEFORE_REPEATING: Mapping[Effect, str] = {
    Effect.NONE: "Try again.",
    Effect.BRIDGE: "Look at the doors before you start it again.",
    Effect.DOOR: "Look at the door, or ask 'thekeys locker_status', before you repeat it.",
    Effect.LOCKER: "Ask 'thekeys locker_status' before you repeat it.",
    Effect.GATEWAY: "Ask 'thekeys status' before you repeat it.",
    Effect.SHARES_READ: "Try again.",
    Effect.REBOOT: "Ask 'thekeys status' before you repeat it.",
    Effect.SHARE: "Look with 'thekeys shares list' before you repeat it; 'thekeys setup' is safe to repeat.",
}
"""The advice after an action of which nobody knows whether it was done."""

_REQUESTS = "|".join(sorted((each.name for each in ENDPOINTS), key=len, reverse=True))
_REQUEST = re.compile(rf"(?:{_REQUESTS})(?=: | was )")
_NESTED = re.compile(rf": (?:{_REQUESTS}): ")
_SHARE = (
    "Check that the share exists in the vendor's app, then run 'thekeys synchronize' and 'thekeys synchronize_locker'."
)
_SEEN = "See with 'thekeys search' whether the gateway sees the locker and how well, and try again."
_NEXT: Mapping[type[BaseException], str] = {
    errors.MissingShareCodeError: "Give the share code with -c, or in THEKEYS_CODE; 'thekeys setup' makes one.",
    errors.GatewayBusyError: "Try again in a minute, or give it longer with --timeout; 'thekeys reboot' helps one that "
    "has been busy for ten.",
    errors.RequestTimeoutError: "Try again, or give it longer with --timeout.",
    LeaseLostError: "Try again.",
    errors.CoordinationError: "Mend that and try again, or do without it: --no-coordination.",
    errors.MissingParameterError: "Check -i and -c; with -d you see what was sent and answered.",
    errors.NotSharedError: _SHARE,
    errors.InvalidHmacError: "Check the share code, and that no other program drives this gateway.",
    errors.LockerNotDetectedError: _SEEN,
    errors.LockerFaultError: _SEEN,
    errors.LockerIncompatibleError: "Try 'thekeys update' and 'thekeys update_locker', else ask the vendor.",
    errors.InvalidKeyError: _SHARE,
    errors.GatewayClockError: "Run 'thekeys synchronize', then try again.",
    errors.InvalidSynchronizationDataError: "The vendor's cloud is at fault: try again later.",
    errors.InvalidFirmwareError: "Try again later: the gateway has to reach the vendor's cloud.",
    errors.FirmwareUnavailableError: "Try again later: the gateway has to reach the vendor's cloud.",
    cloud_errors.AuthenticationError: "Check the phone number and the password.",
    cloud_errors.NotFoundError: "See with 'thekeys shares list' what there is.",
    cloud_errors.CloudUnreachableError: "Check that this computer reaches the Internet, and try again later.",
    cloud_errors.CloudProtocolError: "Check --cloud-url if you gave one; else the vendor's cloud is at fault.",
    cloud_errors.ShareRejectedError: "Change what it objects to, and try again.",
    SupersededError: "Run one bridge for each prefix, or all of them with --standby.",
    BrokerUnreachableError: "Check --broker, user and password, and that the broker runs.",
    errors.TheKeysError: "Try again, with -d to see more.",
}

_OF_THE_ADDRESS = (errors.GatewayUnreachableError, errors.ProtocolError)
_OF_THE_SHARE = (errors.InvalidHmacError, errors.NotSharedError, errors.InvalidKeyError)


def in_words(error: BaseException, typed: str | None) -> str:
    """Write an error's text, with the word that a person typed in the place of the request's name.

    Args:
        error: The library's error, which names the request: ``lockers: no connection to 192.168.0.26:80``.
        typed: The word for the action; None leaves the request's name out.
    """
    text = printable(str(error))
    if (request := _REQUEST.match(text)) is None:
        return text
    rest = _NESTED.sub(": ", text[request.end() :])
    return rest.removeprefix(": ") if typed is None and rest.startswith(":") else f"{typed or 'it'}{rest}"


def failure(error: errors.TheKeysError, effect: Effect, settings: CommandSettings) -> Failure:
    """Turn a library's error into what the command says and how it ends.

    Args:
        error: What was raised.
        effect: What the action may change.
        settings: The flags, and the word for the action as it was typed.
    """
    if isinstance(error, _OF_THE_ADDRESS):
        advice = _about_the_address(error, settings)
    else:
        advice = next(_NEXT[kind] for kind in type(error).__mro__ if kind in _NEXT)
    if isinstance(error, _OF_THE_SHARE) and settings.first_advice:
        advice = settings.first_advice + advice[0].lower() + advice[1:]
    if error.may_have_executed:
        advice = BEFORE_REPEATING[effect]
    outcome = effect.outcome(may_have_executed=error.may_have_executed)
    words = printable(str(error)) if settings.typed is None else in_words(error, settings.typed)
    if isinstance(error, cloud_errors.CloudError) and settings.typed is not None:
        words = f"{settings.typed}: {words}"  # which step it was stays: log in, create the share
    sentence = f"{words.rstrip('. ')}; {outcome}. {advice}"
    fields = {
        "error": type(error).__name__,
        "code": error.code,
        "cause": error.cause,
        "may_have_executed": error.may_have_executed,
    }
    return Failure(sentence, exit_code(error), fields if settings.json else None)


def _about_the_address(error: errors.TheKeysError, settings: CommandSettings) -> str:
    """Say what to check where no gateway answers, or something else does: it depends on who has said the address."""
    given, configured = settings.chosen_host is not None, settings.configured_host is not None
    if isinstance(error, errors.ProtocolError):
        return f"Check that {'--host' if given else 'this address'} is a The Keys gateway, and try again."
    if given:
        return "Check --host, and that the gateway has power and is on this network."
    if configured:
        check = "Check that the gateway has power and is on this network"
        return f"{check}; if it has a new address, '{printable(settings.program)} setup' finds it."
    return "Check that a gateway is on this network; 'thekeys discover' looks for it, and --host says where it is."


def as_fields(error: BaseException | None) -> dict[str, object]:
    """Make the fields of a value that tell why a gateway did not answer; both are None where it did."""
    if error is None:
        return {"error": None, "message": None}
    return {"error": type(error).__name__, "message": in_words(error, None)}


def not_there(error: errors.TheKeysError, *, typed: str, as_json: bool) -> Failure:
    """Make the failure of a command that was carried out, after which the bolt was not seen where it should be.

    Args:
        error: Why not: the time was up, and it says where the bolt was seen; or it could not be read.
        typed: The word for the action, as it was typed.
        as_json: Whether it is said as JSON.
    """
    why = printable(str(error)).rstrip(". ")
    sentence = f"{typed}: done, says the gateway, but {why}. {BEFORE_REPEATING[Effect.DOOR]}"
    fields = {"error": type(error).__name__, "code": error.code, "cause": error.cause, "may_have_executed": True}
    return Failure(sentence, ExitCode.NOT_THERE, fields if as_json else None)


def other_failure(
    kind: str, sentence: str, code: ExitCode, *, may_have_executed: bool = False, as_json: bool
) -> Failure:
    """Make the failure of something that is not the library's: a flag, a signal, this computer."""
    fields = {"error": kind, "code": None, "cause": None, "may_have_executed": may_have_executed}
    return Failure(sentence, code, fields if as_json else None)


def unusable_file(error: errors.TheKeysError, settings: CommandSettings, after: str = "") -> Failure:
    """Make the failure of an action whose configuration file can't be used.

    Args:
        error: Why not.
        settings: The flags.
        after: What has been done before, as the beginning of a sentence.
    """
    sentence = printable(f"{after}{error}")
    return other_failure("ConfigurationError", sentence, ExitCode.USAGE, as_json=settings.json)


@contextlib.contextmanager
def on_stderr() -> Generator[None]:
    """Print on stderr; if it is full or closed, nothing is said, and the exit code stays what it is."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let the rest of a stream that can't be written go nowhere: Python writes it at the end, and would fail then."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is no file, as in a test
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
