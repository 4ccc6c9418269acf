"""Runs one action: who shares its turns, the event loop, signals, the log, and the end that a script can understand."""

import contextlib
import logging
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.abc
import attrs
import click

from thekeys_async import Recorder
from thekeys_async.cli.errors import BEFORE_REPEATING, Effect, ExitCode, Failure, failure, on_stderr, other_failure
from thekeys_async.cli.output import print_warning
from thekeys_async.cli.settings import BEGUN, CommandSettings
from thekeys_async.cli.targets import configured_state_dir
from thekeys_async.config.coordinator import choose_coordinator
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.values import Config
from thekeys_async.coordination import Coordinator, FileCoordinator
from thekeys_async.protocol.errors import CoordinationError, TheKeysError
from thekeys_async.protocol.text import printable

T = TypeVar("T")

_SHOWN_BY_WATCH = "thekeys_async.streams"


@attrs.frozen
class Stopped:
    """A signal ended the work.

    Attributes:
        by: SIGINT or SIGTERM.
    """

    by: signal.Signals


def chosen_coordinator(settings: CommandSettings, configuration: Config | None = None) -> Coordinator | None:
    """Choose by flag, then environment, then configuration file; else the folder of this user.

    Args:
        settings: The flags.
        configuration: What the file says, where it has been read already.

    Raises:
        click.UsageError: Flags contradict each other, or the URL of Redis makes no sense.
        Failure: The configuration file can't be used, or the client for Redis is missing.
    """
    if settings.no_coordination:
        if settings.state_dir is not None:
            raise click.UsageError("--state-dir and --no-coordination contradict each other.")
        return None
    if settings.state_dir is not None:
        if not settings.state_dir:
            raise click.UsageError("--state-dir: a folder is needed.")
        return FileCoordinator(settings.state_dir)
    try:
        return choose_coordinator(
            partial(configured_state_dir, settings) if configuration is None else configuration.state_dir
        )
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except CoordinationError as error:
        raise other_failure("MissingExtra", str(error), ExitCode.COORDINATION, as_json=settings.json) from None


def wire_recorder(settings: CommandSettings, path: Path | None) -> Recorder | contextlib.nullcontext[None]:
    """Make what records the wire, for `check --save` and `watch --save-wire`, if there is to be a recording.

    Args:
        settings: The flags.
        path: Where to; None for no recording.

    Raises:
        Failure: The file is there already, or can't be made.
    """
    if path is None:
        return contextlib.nullcontext()
    try:
        return Recorder(path)
    except OSError as error:
        kind, why = type(error).__name__, error.strerror or type(error).__name__
    sentence = f"{printable(str(path))} can't be made ({why}); nothing was asked. Give another file."
    raise other_failure(kind, sentence, ExitCode.USAGE, as_json=settings.json)


def run(
    settings: CommandSettings, effect: Effect, work: Callable[[], Awaitable[T]], coordinator: Coordinator | None = None
) -> T:
    """Do the work in an event loop of its own.

    Args:
        settings: The flags.
        effect: What the work may change: a failure says whether it has.
        work: What to do.
        coordinator: What is entered for as long as that takes.

    Raises:
        Failure: The work failed or was interrupted; said so on the way out, with the exit code.
    """
    outcome = _run(settings, effect, work, coordinator)
    if isinstance(outcome, Stopped):
        raise _interrupted(settings, effect, outcome)
    return outcome


def run_until_stopped(
    settings: CommandSettings,
    work: Callable[[], Awaitable[None]],
    coordinator: Coordinator | None = None,
    effect: Effect = Effect.NONE,
) -> None:
    """Do work whose usual end is SIGINT or SIGTERM, in an event loop of its own.

    Raises:
        Failure: The work failed.
    """
    _run(settings, effect, work, coordinator)


def _run(
    settings: CommandSettings, effect: Effect, work: Callable[[], Awaitable[T]], coordinator: Coordinator | None
) -> T | Stopped:
    received: list[signal.Signals] = []
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[BEGUN] = True
    try:
        with library_log(settings, received):
            return anyio.run(_supervise, work, coordinator, received, backend="asyncio")
    except KeyboardInterrupt:
        return Stopped(signal.SIGINT)
    except TheKeysError as error:
        _trace(settings)
        raise failure(error, effect, settings) from None
    except (click.ClickException, Failure, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - no traceback without -d, and nothing is swallowed
        _trace(settings)
        raise _unforeseen(settings, effect, error) from None


def _unforeseen(settings: CommandSettings, effect: Effect, error: Exception) -> Failure:
    """Report an error of this computer, or a mistake of this program, after which the door may be in any state."""
    mistake = not isinstance(error, OSError)
    may_have_executed = mistake and effect.changes
    what = f"A mistake in this program ({type(error).__name__}; -d shows where)" if mistake else printable(str(error))
    code = ExitCode.OUTCOME_UNKNOWN if may_have_executed else ExitCode.UNEXPECTED
    sentence = f"{what}; {effect.outcome(may_have_executed=may_have_executed)}."
    return other_failure(
        type(error).__name__, sentence, code, may_have_executed=may_have_executed, as_json=settings.json
    )


async def _supervise(
    work: Callable[[], Awaitable[T]], coordinator: Coordinator | None, received: list[signal.Signals]
) -> T | Stopped:
    try:
        async with anyio.create_task_group() as group:
            scopes = [group.cancel_scope]
            await group.start(_cancel_on_signal, scopes, received)
            async with contextlib.nullcontext() if coordinator is None else coordinator:
                outcome = await _until_signal(work, scopes, received)
            group.cancel_scope.cancel()
            return outcome
    except BaseExceptionGroup as errors:
        raise _only_error(errors) from None
    return Stopped(received[0])


async def _until_signal(
    work: Callable[[], Awaitable[T]], scopes: list[anyio.CancelScope], received: list[signal.Signals]
) -> T | Stopped:
    """Let a signal cancel the work alone: the coordinator still has turns and a lease to give back."""
    with anyio.CancelScope() as scope:
        scopes.append(scope)
        return await work()
    return Stopped(received[0])


def _only_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Take the one error out of groups in groups; a group of several stays one."""
    if len(errors.exceptions) > 1:
        return errors
    first: BaseException = next(iter(errors.exceptions))
    match first:
        case BaseExceptionGroup():
            return _only_error(first)
        case _:
            return first


async def _cancel_on_signal(
    scopes: list[anyio.CancelScope],
    received: list[signal.Signals],
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    if sys.platform == "win32":  # its event loops know only Ctrl-C, which arrives as a KeyboardInterrupt
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for received_signal in signals:
            received.append(received_signal)
            scopes[-1].cancel()
            return


def _interrupted(settings: CommandSettings, effect: Effect, stopped: Stopped) -> Failure:
    may_have_executed = effect.changes
    code = ExitCode.INTERRUPTED if stopped.by is signal.SIGINT else ExitCode.TERMINATED
    advice = f" {BEFORE_REPEATING[effect]}" if may_have_executed else ""
    sentence = f"Stopped by {stopped.by.name}; {effect.outcome(may_have_executed=may_have_executed)}.{advice}"
    return other_failure("Interrupted", sentence, code, may_have_executed=may_have_executed, as_json=settings.json)


def _trace(settings: CommandSettings) -> None:
    if settings.debug:
        with on_stderr():
            traceback.print_exc()


class _Warnings(logging.Handler):
    """Tells a person at once what the library warns of; as JSON with `--json`.

    Not what `watch` shows by itself, and nothing once a signal has come: then the end says what may have happened.
    """

    def __init__(self, settings: CommandSettings, received: Sequence[signal.Signals]) -> None:
        super().__init__(logging.WARNING)
        self._json = settings.json
        self._received = received

    def emit(self, record: logging.LogRecord) -> None:
        if self._received or record.name == _SHOWN_BY_WATCH:
            return
        print_warning(printable(record.getMessage()), as_json=self._json)


@contextlib.contextmanager
def library_log(settings: CommandSettings, received: Sequence[signal.Signals] = ()) -> Generator[None]:
    """Show the library's log on stderr with ``-d``, and only its warnings without.

    Args:
        settings: The flags.
        received: The signals so far; after the first, nothing is shown.
    """
    logger = logging.getLogger("thekeys_async")
    handler = logging.StreamHandler() if settings.debug else _Warnings(settings, received)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if settings.debug else level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
