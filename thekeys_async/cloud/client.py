"""`Cloud`: an account at the vendor's cloud, its lockers, and the shares that open them."""

from datetime import tzinfo
from types import TracebackType
from typing import Self, TypeVar, cast
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

import attrs
import httpx

from thekeys_async.cloud import web_pages
from thekeys_async.cloud.api import Api, ensured
from thekeys_async.cloud.calls import Clock, CloudCall, SingleFlight, gather_limited
from thekeys_async.cloud.http import WebConnection
from thekeys_async.cloud.models import (
    Accessory,
    Account,
    Gateway,
    Locker,
    Moment,
    PersonShare,
    Share,
    international,
)
from thekeys_async.cloud.session import CloudSession
from thekeys_async.cloud.share_drafts import KEEP, Keep, check_code, check_words, checked, draft, draft_for_person, kept
from thekeys_async.protocol.secrets import Secret

_Either = TypeVar("_Either", bound=Share | PersonShare)

_REBOOT = "a gateway may be rebooting"


class Cloud:
    """An account at the vendor's cloud.

    It logs in when first needed. Reads are tried again while the cloud is out of order; what creates, changes or
    deletes is not, once it may have arrived: the error's `may_have_executed` says so.

    Args:
        username: The account's phone number, international: ``+33612345678``.
        password: Its password. It is kept in memory, for a new log-in when the token has run out.
        base_url: Where the cloud is: https, or plain http on the loopback.
        client: An `httpx.AsyncClient` of the caller's. It stays open. Whether it verifies certificates is then the
            caller's business; a `Cloud` without one always does, and honours the usual proxy variables. Its cookie jar
            keeps what the web pages set when a gateway is rebooted; that of a `Cloud` without one keeps nothing.
        timeout: Seconds for each call, log-in and retries included. None means no limit.
        country: ``"FR"`` accepts French national numbers: ``06 12 34 56 78``.
        timezone: The zone of the cloud's clock, for moments in which it names none (Europe/Paris by default).
        clock: Time, for tests.

    Raises:
        ValueError: A phone number that is not international, an empty password, an URL not to send it to, or
            a timeout that is not positive.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        base_url: str = "https://api.the-keys.fr",
        client: httpx.AsyncClient | None = None,
        timeout: float | None = 30.0,
        country: str | None = None,
        timezone: tzinfo | None = None,
        clock: Clock | None = None,
    ) -> None:
        secret = Secret.of(password)
        del password
        if secret is None:
            raise ValueError("the password is text that is not empty")
        if timeout is not None and not timeout > 0:
            raise ValueError("a timeout is positive, or None")
        number, zone = international(username, country), timezone or ZoneInfo("Europe/Paris")
        self._timeout = timeout
        self._country = country
        self._connection = WebConnection(base_url, client)
        self._api = Api(CloudSession(self._connection, number, secret, clock or Clock()), number, zone)
        self._ensuring: WeakValueDictionary[tuple[int, str, str], SingleFlight[Share]] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a client of the caller's stays open."""
        await self._connection.aclose()

    @property
    def on_loopback(self) -> bool:
        """Whether the cloud is on this machine, as a simulated one is."""
        return self._connection.on_loopback

    async def account(self) -> Account:
        """Read the account and its lockers.

        Raises:
            CloudError: It could not be read.
        """
        call = CloudCall()
        with call.within(self._timeout):
            return await self._api.account(call)

    async def lockers(self) -> tuple[Locker, ...]:
        """Read the account's lockers, with what belongs to each.

        Raises:
            CloudError: They could not be read.
        """
        return (await self.account()).lockers

    async def gateways(self) -> tuple[Gateway, ...]:
        """Read the account's gateways, with LAN address and when each was last seen.

        Raises:
            CloudError: They could not be read.
        """
        call = CloudCall()
        with call.within(self._timeout):
            account = await self._api.account(call)
            known = {accessory.id: accessory for locker in account.lockers for accessory in locker.accessories}
            gateways = [accessory for accessory in known.values() if accessory.is_gateway]
            return tuple(await gather_limited(lambda gateway: self._api.gateway(gateway, call), gateways))

    async def shares(self, locker: Locker) -> tuple[Share, ...]:
        """Read a locker's shares with accessories, codes included.

        Raises:
            CloudError: They could not be read.
        """
        call = CloudCall()
        with call.within(self._timeout):
            return await self._api.shares(locker, call)

    async def create_share(
        self,
        locker: Locker,
        gateway: Accessory,
        *,
        name: str,
        starts: Moment | None = None,
        ends: Moment | None = None,
        description: str = "",
        share_code: str | None = None,
    ) -> Share:
        """Create a share of a locker with a gateway, a keypad or another accessory.

        Args:
            locker: The locker that is to be opened.
            gateway: Through what.
            name: The share's name.
            starts: From when: an aware datetime, a date, or a time of every day. None for at once.
            ends: Until when, in the same way; hours count to the minute. None for ever.
            description: Free text.
            share_code: The PIN that a guest types on a keypad. None lets the cloud choose.

        Raises:
            ShareRejectedError: The cloud refused it, with its reasons.
            CloudError: It failed; `may_have_executed` says whether the share may be there all the same.
            ValueError: No name, a datetime without a zone, an end before the start, or a code that is not ASCII.
        """
        given, code = share_code is not None, Secret.of(share_code)
        del share_code
        check_code(given=given, code=code)
        wanted = attrs.evolve(draft(locker, gateway, name), starts=starts, ends=ends, description=description)
        wanted = checked(wanted)
        call = CloudCall()
        with call.within(self._timeout):
            return await self._api.create(wanted, gateway, code, call)

    async def ensure_share(self, locker: Locker, gateway: Accessory, *, name: str) -> Share:
        """Find the share of that name between locker and gateway, or create it.

        Safe to repeat. Two at once still make one, also from two programs: one that finds an older one beside its own
        deletes its own. A share that somebody switched off, or that has run out, is returned as it is.

        Raises:
            CloudError: It could not be found or created.
            ValueError: No name.
        """
        wanted = checked(draft(locker, gateway, name))
        key = (locker.id, gateway.identifier, name)
        flight = self._ensuring.setdefault(key, SingleFlight())
        call = CloudCall()
        with call.within(self._timeout):
            return await flight.join(lambda: ensured(self._api, locker, gateway, wanted, call))

    async def update_share(
        self,
        share: Share,
        *,
        name: str | Keep = KEEP,
        starts: Moment | Keep | None = KEEP,
        ends: Moment | Keep | None = KEEP,
        description: str | Keep = KEEP,
        active: bool | Keep = KEEP,
        share_code: str | Keep = KEEP,
    ) -> Share:
        """Change a share; what is not given stays as it is in `share`.

        Args:
            share: The share, as it was read.
            name: The new name.
            starts: From when; None for at once.
            ends: Until when; None for ever.
            description: Free text.
            active: Whether it is switched on.
            share_code: The PIN that a guest types on a keypad.

        Returns:
            The share as it is now.

        Raises:
            ShareRejectedError: The cloud refused it, with its reasons.
            CloudError: It failed; `may_have_executed` says whether it may have been changed all the same.
            ValueError: As `create_share`.
        """
        given = share_code is not KEEP
        code = Secret.of(share_code if given else share.code)
        del share_code
        check_code(given=given, code=code)
        changed = checked(
            attrs.evolve(
                share,
                name=kept(name, share.name),
                starts=kept(starts, share.starts),
                ends=kept(ends, share.ends),
                description=kept(description, share.description),
                active=kept(active, share.active),
            )
        )
        call = CloudCall()
        with call.within(self._timeout):
            await self._api.update(changed, code, call)
        return attrs.evolve(changed, code=code.reveal() if code else None)

    async def switch_share(self, share: _Either, *, active: bool) -> _Either:
        """Switch a share on or off, with an accessory or with a person; the rest stays as it is in `share`.

        Args:
            share: The share, as it was read.
            active: Whether it is to be on.

        Raises:
            CloudError: It failed; `may_have_executed` says whether it may have been switched all the same.
        """
        if isinstance(share, PersonShare):
            return cast("_Either", await self.update_person_share(share, active=active))
        return cast("_Either", await self.update_share(share, active=active))

    async def people(self, locker: Locker) -> tuple[PersonShare, ...]:
        """Read a locker's shares with people: those that were accepted, and then those that are asked for.

        Raises:
            CloudError: They could not be read.
        """
        call = CloudCall()
        with call.within(self._timeout):
            return await self._api.people(locker, call)

    async def share_with(self, phone: str, locker: Locker, *, name: str, description: str = "") -> PersonShare:
        """Share a locker with a person, who opens it with the vendor's app; they are asked, and accept it there.

        Args:
            phone: The person's phone number, as for the account's.
            locker: The locker that is to be opened.
            name: The share's name.
            description: Free text.

        Raises:
            ShareRejectedError: The cloud refused it, with its reasons.
            CloudError: It failed; `may_have_executed` says whether the share may be there all the same.
            ValueError: No phone number, or no name.
        """
        wanted = draft_for_person(locker, international(phone, self._country), name, description)
        call = CloudCall()
        with call.within(self._timeout):
            return await self._api.create_for_person(wanted, locker, call)

    async def update_person_share(
        self, share: PersonShare, *, name: str | Keep = KEEP, description: str | Keep = KEEP, active: bool | Keep = KEEP
    ) -> PersonShare:
        """Change a share with a person; what is not given stays as it is in `share`.

        Args:
            share: The share, as it was read.
            name: The new name.
            description: Free text.
            active: Whether it is switched on. No way to delete one is known here: switch it off.

        Raises:
            ShareRejectedError: The cloud refused it, with its reasons.
            CloudError: It failed; `may_have_executed` says whether it may have been changed all the same.
            ValueError: No name.
        """
        changed = attrs.evolve(
            share,
            name=kept(name, share.name),
            description=kept(description, share.description),
            active=kept(active, share.active),
        )
        check_words(changed.name, changed.description)
        call = CloudCall()
        with call.within(self._timeout):
            await self._api.update_for_person(changed, call)
        return changed

    async def reboot(self, gateway: Accessory | int) -> None:
        """Reboot a gateway, through the account's web pages: the way out of a synchronisation that hangs (observed).

        It is away for some seconds. What it is doing is not finished. A reboot is not repeated once it may have been
        ordered.

        Args:
            gateway: The gateway, or its `id`.

        Raises:
            AuthenticationError: The web pages refused user name and password.
            NotFoundError: They know no such gateway.
            CloudError: It failed; `may_have_executed` says whether the gateway may be rebooting all the same.
        """
        call = CloudCall(_REBOOT)
        with call.within(self._timeout):
            await web_pages.reboot(self._api.session, gateway if isinstance(gateway, int) else gateway.id, call)

    async def delete_share(self, share: Share | int) -> None:
        """Delete a share; it stops working when the locker has been synchronised.

        Args:
            share: The share, or its `id`.

        Raises:
            NotFoundError: There is none.
            CloudError: It failed; `may_have_executed` says whether it may have been deleted all the same.
        """
        if isinstance(share, PersonShare):  # they are numbered apart: another share would be deleted
            raise TypeError("a share with a person can only be switched off")
        call = CloudCall()
        with call.within(self._timeout):
            await self._api.delete(share if isinstance(share, int) else share.id, call)
