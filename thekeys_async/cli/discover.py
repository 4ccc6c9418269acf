"""`thekeys discover`: finds gateways without an account."""

import ipaddress
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import attrs
import click
from rich.console import RenderableType

from thekeys_async import (
    AsyncGateway,
    GatewayBusyError,
    GatewayRefusedError,
    GatewayStatus,
    LockerReading,
    Pacing,
    TheKeysError,
)
from thekeys_async.cli import output
from thekeys_async.cli.account import Login, log_in
from thekeys_async.cli.errors import Effect, ExitCode, as_fields, other_failure
from thekeys_async.cli.runner import chosen_coordinator, run
from thekeys_async.cli.settings import DEFAULT_HOST, MOST_ADDRESSES, CommandSettings, Network
from thekeys_async.cli.setup import fresh_name, with_gateways
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.cli.targets import path_of, read, save_text
from thekeys_async.cloud import CloudError, discover
from thekeys_async.config.values import Config
from thekeys_async.coordination import Coordinator
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.text import printable

_AT_ONCE = 64
_STRANGER = 0.5
"""Seconds for a request to an address of which nobody has said that a gateway is there."""

_KNOWN = 5.0
"""Seconds for a request to a gateway that somebody has named."""

_TO_RESOLVE = 2.0
_LIKE_A_GATEWAY = (GatewayBusyError, GatewayRefusedError)


@attrs.frozen
class Candidate:
    """A place where a gateway may be.

    Attributes:
        host: Its address.
        by: Who says so, in words.
        name: What the file, else the cloud, calls it; None if nobody has named it.
        id: Its identifier in the cloud, if that is known.
        in_file: Whether the file has it.
    """

    host: str
    by: str
    name: str | None = None
    id: str | None = None
    in_file: bool = False


@attrs.frozen
class Probed:
    """A candidate that has been asked.

    Attributes:
        candidate: Where it is.
        status: What it says of itself; None if it did not tell.
        lockers: Which lockers it sees; None if it did not tell.
        error: Why it did not answer; None for one that did.
    """

    candidate: Candidate
    status: GatewayStatus | None = None
    lockers: tuple[LockerReading, ...] | None = None
    error: TheKeysError | None = None


Candidates: TypeAlias = Mapping[Address, Candidate]


@attrs.frozen
class DiscoverSettings:
    """The places to look at.

    Attributes:
        networks: Whose addresses are asked.
        port: At which port.
        save: Whether to write what was found into the file.
    """

    networks: tuple[Network, ...]
    port: int
    save: bool


def run_discover(settings: CommandSettings, wanted: DiscoverSettings) -> None:
    """Look for gateways, and show, or write into the file, those that answered.

    Raises:
        Failure: None answered, or the file can't be used.
    """
    if sum(each.num_addresses for each in wanted.networks) > MOST_ADDRESSES:
        raise click.UsageError(f"--network: at most {MOST_ADDRESSES} addresses are asked.")
    login = log_in(settings) if settings.username else None
    path = path_of(settings)
    configuration, text = read(settings, path)
    coordinator = chosen_coordinator(settings, configuration)
    with output.waiting(settings, "looking for gateways ..."):
        work = partial(_look, settings, wanted, login, configuration, coordinator)
        answers = run(settings, Effect.NONE, work, coordinator)
    there = [answer for answer in answers if answer.error is None]
    new = _named(configuration, [answer.candidate for answer in there if not answer.candidate.in_file])
    if wanted.save and new:
        save_text(settings, path, with_gateways(text, _tables(new)))
    with output.said(Effect.NONE, as_json=settings.json):
        if settings.json:
            output.print_json([_value(answer, new, saved=wanted.save) for answer in answers])
        elif answers:
            output.print_rich(_table(answers, new))
            if there:
                output.print_rich(*_next_steps(settings.program, path, new, there, saved=wanted.save))
    if not there:
        advice = "" if wanted.networks else " Say with --network which addresses to ask, for example 192.168.0.0/24."
        sentence = f"{settings.typed}: nothing answered like a gateway; no door moved.{advice}"
        raise other_failure("NothingFound", sentence, ExitCode.UNREACHABLE, as_json=settings.json)


async def _look(
    settings: CommandSettings,
    wanted: DiscoverSettings,
    login: Login | None,
    configuration: Config,
    coordinator: Coordinator | None,
) -> list[Probed]:
    """Ask the gateways that somebody names, and then the addresses of the networks; those without an answer last."""
    known = dict(await _known(settings, login, configuration))
    named = await _ask_all(known, coordinator, settings.timeout or _KNOWN)
    hosts = [host for network in wanted.networks for host in network.hosts()]
    addresses = (Address(str(host), wanted.port) for host in hosts)
    strangers = {each: Candidate(each.authority, "the network") for each in addresses if each not in known}
    found = await _ask_all(strangers, None, _STRANGER)
    answered = [answer for answer in (*named, *found) if answer.error is None]
    silent = [answer for answer in named if answer.error is not None and answer.candidate.by != DEFAULT_HOST]
    return answered + silent


async def _known(settings: CommandSettings, login: Login | None, configuration: Config) -> Candidates:
    """Collect what file, cloud, flags and the usual name say; what means the same address is asked once."""
    gateways = configuration.gateways.items()
    candidates = [Candidate(each.host, "the file", name, each.id, in_file=True) for name, each in gateways]
    given = settings.given_hosts or ([settings.chosen_host] if settings.chosen_host else [])
    candidates += [Candidate(host, "--host") for host in given]
    candidates += await _of_the_cloud(settings, login)
    candidates.append(Candidate(DEFAULT_HOST, DEFAULT_HOST))
    meant: dict[Candidate, list[Address]] = {}
    async with anyio.create_task_group() as tasks:
        for candidate in candidates:
            meant[candidate] = [_address(candidate)]
            tasks.start_soon(_resolve, meant[candidate])
    known: dict[Address, Candidate] = {}
    for candidate, addresses in meant.items():
        if candidate.by == DEFAULT_HOST and not any(map(_is_ip, addresses)):
            continue  # nobody on this network has the name
        first = next((known[address] for address in addresses if address in known), candidate)
        known.update(dict.fromkeys(addresses, first))
    return known


def _address(candidate: Candidate) -> Address:
    try:
        return Address.parse(candidate.host)
    except ValueError as error:
        raise click.UsageError(f"{candidate.by}: {error}") from None


async def _of_the_cloud(settings: CommandSettings, login: Login | None) -> list[Candidate]:
    if login is None:
        return []
    try:
        async with login.cloud(settings) as cloud:
            gateways = {gateway.id: gateway for each in await discover(cloud) for gateway in each.gateways}
    except CloudError as error:
        output.print_warning(f"The cloud was not asked: {printable(str(error))}", as_json=settings.json)
        return []
    return [
        Candidate(gateway.address, "the cloud", gateway.name or None, gateway.identifier)
        for gateway in gateways.values()
        if gateway.address
    ]


async def _resolve(addresses: list[Address]) -> None:
    """Add the addresses that a name stands for, so that no gateway is asked under two names."""
    name = addresses[0]
    if _is_ip(name):
        return
    with suppress(OSError, UnicodeError), anyio.move_on_after(_TO_RESOLVE):
        addresses += [Address(str(found[4][0]), name.port) for found in await anyio.getaddrinfo(name.host, name.port)]


def _is_ip(address: Address) -> bool:
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return True


async def _ask_all(candidates: Candidates, coordinator: Coordinator | None, seconds: float) -> list[Probed]:
    """Ask each candidate once, so many at a time."""
    distinct = list(dict.fromkeys(candidates.values()))
    answers: dict[int, Probed] = {}
    places = anyio.Semaphore(_AT_ONCE)

    async def ask(number: int, candidate: Candidate) -> None:
        async with places, AsyncGateway(candidate.host, coordinator=coordinator) as gateway:
            answers[number] = await _ask(gateway, candidate, seconds)

    async with anyio.create_task_group() as tasks:
        for number, candidate in enumerate(distinct):
            tasks.start_soon(ask, number, candidate)
    return [answers[number] for number in range(len(distinct))]


async def _ask(gateway: AsyncGateway, candidate: Candidate, seconds: float) -> Probed:
    """Ask for its lockers, and a gateway for its status, too, which older firmware does not tell."""
    try:
        lockers = await gateway.lockers(timeout=seconds)
    except _LIKE_A_GATEWAY:
        return Probed(candidate)
    except TheKeysError as error:
        return Probed(candidate, error=error)
    status = None
    with suppress(TheKeysError):
        status = await gateway.status(timeout=seconds + Pacing().light)
    return Probed(candidate, status, lockers)


def _named(configuration: Config, found: Iterable[Candidate]) -> Mapping[str, Candidate]:
    """Name those that the file does not have: as the cloud does, else after their address."""
    new: dict[str, Candidate] = {}
    for candidate in found:
        name = fresh_name(candidate.name or "", candidate.host, "gateway", {*configuration.gateways, *new})
        new[name] = candidate
    return new


def _tables(new: Mapping[str, Candidate]) -> Mapping[str, Mapping[str, str]]:
    return {name: {"host": each.host, **({} if each.id is None else {"id": each.id})} for name, each in new.items()}


def _value(answer: Probed, new: Mapping[str, Candidate], *, saved: bool) -> dict[str, object]:
    candidate = answer.candidate
    name = _name(candidate, new)
    return {
        "host": candidate.host,
        "name": name,
        "in_file": candidate.in_file or (saved and name is not None),
        "found_by": candidate.by,
        "version": answer.status and answer.status.version,
        "phase": answer.status and answer.status.phase,
        "lockers": None if answer.lockers is None else sorted(each.identifier for each in answer.lockers),
        **as_fields(answer.error),
    }


def _name(candidate: Candidate, new: Mapping[str, Candidate]) -> str | None:
    """Say what the file calls it, or will; None for one that did not answer and is not there."""
    if candidate.in_file:
        return candidate.name
    return next((name for name, each in new.items() if each == candidate), None)


def _table(answers: Sequence[Probed], new: Mapping[str, Candidate]) -> RenderableType:
    fields = (
        Field("Gateway", whole=True),
        Field("Address", whole=True),
        Field("Found by", leaves=2),
        Field("Firmware", right=True, whole=True, leaves=3),
        Field("Lockers", leaves=1),
    )
    rows = [
        (
            printable(_name(answer.candidate, new) or "-"),
            printable(answer.candidate.host),
            printable(answer.candidate.by),
            output.number(None if answer.status is None else answer.status.version),
            _lockers(answer),
        )
        for answer in answers
    ]
    return fitted(fields, rows, output.console())


def _lockers(answer: Probed) -> str:
    if answer.error is not None:
        return "no answer"
    if answer.lockers is None:
        return "busy"
    return " ".join(str(each.identifier) for each in answer.lockers) or "sees none"


def _next_steps(
    program: str, path: Path, new: Mapping[str, Candidate], there: Sequence[Probed], *, saved: bool
) -> list[str]:
    shown = printable(str(path))
    first = next(iter(new), None) or there[0].candidate.name or ""
    if new and not saved:
        snippet = with_gateways(None, _tables(new), header=False).reveal().strip()
        return [f"\nTo give them names, repeat it with --save, or write into {shown}:\n", snippet]
    words = f"Written to {shown}." if new else f"All of them are in {shown}."
    then = f"Then: {printable(program)} search {printable(shlex.quote(first))}"
    return [words, then, "Share codes come from 'thekeys setup', or from the vendor's app."]
