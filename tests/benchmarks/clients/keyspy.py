"""the-keyspy, a published client of these gateways.

It has no call for the list of lockers, so its poll is GET /status; it opens a session for each request.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from responder import Hosts
from the_keyspy.devices.gateway import TheKeysGateway


@contextmanager
def gateways(hosts: Hosts, count: int) -> Iterator[list[Callable[[], object]]]:
    yield [TheKeysGateway(n, hosts.address(n)).status for n in range(count)]
