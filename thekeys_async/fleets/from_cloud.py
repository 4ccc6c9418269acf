"""The gateways of an account that reported lately, with a share code for each of their lockers."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar

from thekeys_async.cloud.client import Cloud
from thekeys_async.cloud.discovery import Wired, discover, ensure_shares
from thekeys_async.cloud.models import Gateway
from thekeys_async.gateway import AsyncGateway

_log = logging.getLogger(__name__)

_T = TypeVar("_T", bound=AbstractAsyncContextManager[Any])


class AwaitableContext(Generic[_T]):
    """A context that has to be fetched first: ``async with`` fetches and enters it, ``await`` only fetches it.

    Args:
        fetch: Fetches it.
    """

    def __init__(self, fetch: Callable[[], Awaitable[_T]]) -> None:
        self._fetch = fetch
        self._fetched: _T | None = None

    def __await__(self) -> Generator[Any, Any, _T]:
        return self._fetch().__await__()

    async def __aenter__(self) -> _T:
        """Fetch and enter it."""
        fetched = await self._fetch()
        await fetched.__aenter__()
        self._fetched = fetched
        return fetched

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        if self._fetched is not None:
            await self._fetched.__aexit__(kind, error, trace)


async def gateways_of(
    cloud: Cloud, *, share_name: str, seen_within: timedelta, allow_public: bool, **settings: Any
) -> dict[str, AsyncGateway]:
    """Ensure a share for each locker with each gateway that reported lately, and make those gateways, by name.

    A share that is switched off or has run out is left as it is, and its locker without a code; a warning says so.

    Args:
        cloud: The account.
        share_name: The name of the shares.
        seen_within: The time within which a gateway must have reported.
        allow_public: Whether to take a gateway whose address is not one of a LAN.
        settings: Keyword arguments of `AsyncGateway`.

    Raises:
        CloudError: The cloud could not be asked, or a share not be created.
    """
    found = await discover(cloud, seen_within=seen_within, allow_public=allow_public)
    wired = await ensure_shares(cloud, found, share_name=share_name)
    gateways = {each.gateway.id: each.gateway for each in wired}
    names = _names(gateways.values())
    return {
        names[number]: AsyncGateway(
            gateway.address or "",
            share_codes={
                each.locker.identifier: each.share.code or ""
                for each in _usable(each for each in wired if each.gateway.id == number)
            },
            **settings,
        )
        for number, gateway in gateways.items()
    }


def _usable(wired: Iterable[Wired]) -> Iterable[Wired]:
    now = datetime.now(UTC)
    for each in wired:
        if each.share.usable(now):
            yield each
        else:
            _log.warning(
                "share %d, %r, of locker %d with %r is switched off or has run out: no code is taken from it",
                each.share.id,
                each.share.name,
                each.locker.identifier,
                each.gateway.name,
            )


def _names(gateways: Iterable[Gateway]) -> dict[int, str]:
    """Name each as its owner does, with its identifier where that says too little to tell it from others."""
    known = list(gateways)
    times = Counter(gateway.name for gateway in known)
    names = {gateway.id: gateway.name for gateway in known if gateway.name and times[gateway.name] == 1}
    taken = set(names.values())
    for gateway in known:
        if gateway.id not in names:
            name = f"{gateway.name} {gateway.identifier}".strip()
            while name in taken:  # an owner may have called another one so
                name += f" {gateway.identifier}"
            taken.add(name)
            names[gateway.id] = name
    return names
