"""Lets all clients take turns, each in a process of its own for each number of gateways."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

import attrs
import fresh
from clients.catalogue import Client, catalogue
from figures import Polled, middle
from responder import Hosts


def compare(
    hosts: Hosts, sizes: Sequence[int], *, limit: float, seconds: float, turns: int
) -> dict[tuple[str, int], Polled | None]:
    """Measure all clients; None stands for one that did not finish.

    Args:
        hosts: The canned gateways.
        sizes: How many of them are asked, ascending.
        limit: Seconds that a process may take; whose takes longer is not asked for more gateways, either.
        seconds: How long each way of asking is measured.
        turns: The most turns of one client.
    """
    polled: dict[tuple[str, int], Polled | None] = {}
    given_up: set[str] = set()
    for size in sizes:
        seen: dict[str, list[Polled]] = defaultdict(list)
        for client in _in_turns(turns):
            if client.label in given_up:
                continue
            arguments = (client.target, client.runs_on, size, attrs.asdict(hosts), seconds)
            try:
                found = Polled(**fresh.run("polling:measure", *arguments, seconds=limit))
            except TimeoutError:
                given_up.add(client.label)
                _say(f"{size} gateways, {client.label}: not finished in {limit:g} s")
            else:
                seen[client.label].append(found)
                _say(f"{size} gateways, {client.label}: {found.by_sixteen:.3f} ms of CPU")
        polled |= {(label, size): None if label in given_up else middle(seen[label]) for label in catalogue()}
    return polled


def _in_turns(turns: int) -> Iterator[Client]:
    for turn in range(turns):
        yield from (client for client in catalogue().values() if turn < client.turns)


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
