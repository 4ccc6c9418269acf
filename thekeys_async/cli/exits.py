"""The exit codes, in one table: what a script can tell from how the command ended."""

import enum
from collections.abc import Mapping

from thekeys_async.bridge.errors import BrokerUnreachableError, SupersededError
from thekeys_async.cloud import errors as cloud_errors
from thekeys_async.protocol import errors


class ExitCode(enum.IntEnum):
    """How the command ended.

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
    WARNED = 11
    SUPERSEDED = 11
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
"""What each code says about the command that ended with it."""

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


def table() -> str:
    """Write the table for the end of ``thekeys --help``."""
    return "\n".join(f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items())
