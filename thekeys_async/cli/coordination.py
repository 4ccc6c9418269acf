"""The choice of a coordinator: the flags first, then the environment and the configuration file."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import click

from thekeys_async.cli.errors import ExitCode, other_failure
from thekeys_async.cli.options import Settings
from thekeys_async.cli.targets import configured_state_dir
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.sharing import choose_coordinator
from thekeys_async.coordination import Coordinator, FileCoordinator
from thekeys_async.protocol.errors import CoordinationError

T = TypeVar("T")


def chosen_coordinator(settings: Settings) -> Coordinator | None:
    """Choose by flag, then environment, then configuration file; else the folder of this user.

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
        return choose_coordinator(partial(configured_state_dir, settings))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except CoordinationError as error:
        raise other_failure("MissingExtra", str(error), ExitCode.COORDINATION, as_json=settings.json) from None


async def within(coordinator: Coordinator | None, work: Callable[[], Awaitable[T]]) -> T:
    """Do work while the coordinator, if there is one, is at work.

    Raises:
        CoordinationError: It can't begin.
    """
    if coordinator is None:
        return await work()
    async with coordinator:
        return await work()
