"""The actions on one gateway and its lockers."""

from collections.abc import Mapping
from functools import partial

import anyio
import click

from thekeys_async import AsyncGateway, AsyncLocker, CommandResult, DoorState, TheKeysError
from thekeys_async.cli import output
from thekeys_async.cli.all_gateways import ask_all
from thekeys_async.cli.errors import Effect, not_there
from thekeys_async.cli.runner import chosen_coordinator, run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.targets import all_gateways, gateway_named, locker_named
from thekeys_async.coordination import Coordinator

_EFFECTS: Mapping[str, Effect] = {
    "open": Effect.DOOR,
    "close": Effect.DOOR,
    "calibrate": Effect.DOOR,
    "synchronize": Effect.GATEWAY,
    "auto_on": Effect.GATEWAY,
    "auto_off": Effect.GATEWAY,
    "update": Effect.GATEWAY,
    "synchronize_locker": Effect.LOCKER,
    "update_locker": Effect.LOCKER,
}

_ENDS: Mapping[str, DoorState] = {"open": DoorState.OPEN, "close": DoorState.CLOSED}
_LEAST_WAIT = 0.001
_OF_THE_GATEWAY = frozenset({"search", "status", "synchronize", "auto_on", "auto_off", "update"})
_OF_ALL = frozenset({"search", "status"})
_FIRMWARE: Mapping[str, str] = {
    "update": "the gateway's firmware: it will be away for a while",
    "update_locker": "the locker's firmware: its door can't be driven meanwhile",
}
_UNSIGNED = frozenset({"synchronize_locker", "update_locker"})


def perform(
    settings: CommandSettings, action: str, *, wait: bool = False, everyone: bool = False, yes: bool = False
) -> None:
    """Do one of the actions and show what came of it.

    Args:
        settings: The flags.
        action: The action.
        wait: Whether to stay until the bolt is where `open` or `close` sends it.
        everyone: Whether `search` and `status` were told to ask all gateways of the file.
        yes: Whether a person has agreed to new firmware already.

    Raises:
        click.UsageError: A flag is missing or makes no sense.
        Failure: It could not be done.
    """
    if action in _FIRMWARE and not yes and output.is_attended():
        click.confirm(f"Install {_FIRMWARE[action]}. Go on?", abort=True, err=True)
    gateways = all_gateways(settings, wanted=everyone) if action in _OF_ALL else None
    if gateways is not None:
        ask_all(settings, action, *gateways)
        return
    if action in _OF_THE_GATEWAY:
        settings = gateway_named(settings)
    else:
        settings = locker_named(settings, signed=action not in _UNSIGNED)
    coordinator, effect = chosen_coordinator(settings), _EFFECTS.get(action, Effect.NONE)
    with output.waiting(settings, f"{action} ..."):
        answer = run(settings, effect, partial(_ask, settings, coordinator, action, wait=wait), coordinator)
    identifier = None if action in _OF_THE_GATEWAY else settings.identifier
    words = output.as_text(action, identifier, answer, typed=settings.typed or action)
    output.show(settings, effect, output.as_json(action, identifier, answer), *words)


async def _ask(settings: CommandSettings, coordinator: Coordinator | None, action: str, *, wait: bool) -> output.Answer:
    budget = {} if settings.timeout is None else {"timeout": settings.timeout}
    async with _gateway(settings, coordinator) as gateway:
        match action:
            case "search":
                return await gateway.lockers(**budget)
            case "status":
                return await gateway.status(**budget)
            case "synchronize":
                return await gateway.synchronize(**budget)
            case "auto_on" | "auto_off":
                return await gateway.automatic_synchronization(action == "auto_on", **budget)
            case "update":
                return await gateway.update_firmware(**budget)
            case _:
                return await _ask_locker(settings, _locker(gateway, settings), action, wait=wait)


async def _ask_locker(settings: CommandSettings, door: AsyncLocker, action: str, *, wait: bool) -> output.Answer:
    budget = {} if settings.timeout is None else {"timeout": settings.timeout}
    answer = await _ask_door(door, action, budget)
    if wait and isinstance(answer, CommandResult):
        return await _bolt_moved(settings, door, action, answer)
    return answer


async def _ask_door(door: AsyncLocker, action: str, budget: Mapping[str, float]) -> output.Answer:
    match action:
        case "open":
            return await door.open(**budget)
        case "close":
            return await door.close(**budget)
        case "calibrate":
            return await door.calibrate(**budget)
        case "synchronize_locker":
            return await door.synchronize(**budget)
        case "update_locker":
            return await door.update_firmware(**budget)
        case "locker_status":
            return await door.status(**budget)
        case _:
            raise ValueError(action)


async def _bolt_moved(settings: CommandSettings, door: AsyncLocker, action: str, result: CommandResult) -> output.Moved:
    """Wait until the bolt is there, for what is left of the time given, or as long as any call by default.

    Raises:
        Failure: It was not seen there; the command has been carried out all the same.
    """
    left = {} if settings.timeout is None else {"timeout": max(settings.timeout - result.duration, _LEAST_WAIT)}
    began = anyio.current_time()
    try:
        status = await door.wait_for(_ENDS[action], **left)
    except TheKeysError as error:
        raise not_there(error, typed=settings.typed or action, as_json=settings.json) from None
    return output.Moved(result, status, anyio.current_time() - began)


def _gateway(settings: CommandSettings, coordinator: Coordinator | None) -> AsyncGateway:
    try:
        return AsyncGateway(settings.host, coordinator=coordinator)
    except ValueError as error:
        raise click.UsageError(f"--host: {error}") from None


def _locker(gateway: AsyncGateway, settings: CommandSettings) -> AsyncLocker:
    if settings.identifier is None:
        raise click.UsageError("Say which locker: its name, or -i and its number, as 'thekeys search' lists them.")
    try:
        return gateway.locker(settings.identifier, share_code=settings.code)
    except ValueError as error:
        raise click.UsageError(f"-i or -c: {error}") from None
