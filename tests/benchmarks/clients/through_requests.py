"""requests: a session for each gateway, as it keeps no more than ten hosts' connections in one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
from responder import Hosts


@contextmanager
def session_each(hosts: Hosts, count: int) -> Iterator[list[Callable[[], object]]]:
    sessions = [requests.Session() for _ in range(count)]
    yield [_asking(session, hosts.address(n)) for n, session in enumerate(sessions)]
    for session in sessions:
        session.close()


def _asking(session: requests.Session, address: str) -> Callable[[], object]:
    session.trust_env = False
    url = f"http://{address}/lockers"
    return lambda: session.get(url, timeout=60).json()
