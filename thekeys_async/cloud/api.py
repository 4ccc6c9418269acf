"""The vendor's web calls, one method for each: paths and forms out, values in; and one share under one name."""

from contextlib import suppress
from datetime import tzinfo
from urllib.parse import quote

import attrs

from thekeys_async.cloud import fields, vocabulary
from thekeys_async.cloud.calls import CloudCall
from thekeys_async.cloud.errors import CloudError, CloudProtocolError, NotFoundError
from thekeys_async.cloud.fields import Fields
from thekeys_async.cloud.http import WebCall
from thekeys_async.cloud.models import Accessory, Account, Gateway, Locker, PersonShare, Share
from thekeys_async.cloud.session import CloudSession
from thekeys_async.protocol.secrets import Secret

_ROOT = "/fr/api/v2"
_OK = 200
_CREATIONS = 3


class Api:
    """The cloud's calls under one account. Each raises `CloudError`.

    Args:
        session: The session to ask through.
        username: The account's phone number.
        zone: The zone of the cloud's clock.
    """

    def __init__(self, session: CloudSession, username: str, zone: tzinfo) -> None:
        self.session = session
        self._username = username
        self._zone = zone

    async def account(self, call: CloudCall) -> Account:
        """Read the account."""
        request = WebCall("read the account", f"{_ROOT}/utilisateur/get/{_segment(self._username)}")
        return vocabulary.account(await self._data(request, call), self._username, self._zone)

    async def gateway(self, known: Accessory, call: CloudCall) -> Gateway:
        """Read what a gateway last told; that the cloud knows no more of it is no error."""
        request = WebCall("read a gateway", f"{_ROOT}/accessoire/get/{known.id}")
        data: Fields | None = None
        with suppress(NotFoundError):  # also as HTTP 404
            data = (await self.session.ask(request, call)).fields("data", "the answer's data")
        return vocabulary.gateway(known, data, self._zone)

    async def shares(self, locker: Locker, call: CloudCall) -> tuple[Share, ...]:
        """Read a locker's shares."""
        request = WebCall("read the shares", f"{_ROOT}/partage/all/serrure/{locker.id}")
        return vocabulary.shares(await self._data(request, call), locker)

    async def people(self, locker: Locker, call: CloudCall) -> tuple[PersonShare, ...]:
        """Read a locker's shares with people."""
        request = WebCall("read the shares", f"{_ROOT}/partage/all/serrure/{locker.id}")
        return vocabulary.people(await self._data(request, call), locker)

    async def create_for_person(self, draft: PersonShare, locker: Locker, call: CloudCall) -> PersonShare:
        """Create a share with a person. Its number stands in the answer, or else in the list."""
        path = f"{_ROOT}/partage/create/{draft.locker_id}/{_segment(draft.phone)}"
        request = WebCall("share with a person", path, vocabulary.person_form(draft), changes=True)
        number = (await self._data(request, call)).optional("id", fields.natural)
        if number is not None:
            return attrs.evolve(draft, id=number)
        named = [
            each for each in await self.people(locker, call) if (each.phone, each.name) == (draft.phone, draft.name)
        ]
        if not named:
            raise CloudProtocolError(f"{request.what}: it was created, the cloud says, but it is not in the list")
        return max(named, key=lambda share: share.id)

    async def update_for_person(self, share: PersonShare, call: CloudCall) -> None:
        """Change a share with a person."""
        path = f"{_ROOT}/partage/update/{share.id}"
        await self._done(WebCall("change a share", path, vocabulary.person_form(share), changes=True), call)

    async def create(self, draft: Share, accessory: Accessory, code: Secret | None, call: CloudCall) -> Share:
        """Create a share. The path takes the accessory's text identifier, never its number (observed)."""
        path = f"{_ROOT}/partage/create/{draft.locker_id}/accessoire/{_segment(accessory.identifier)}"
        request = WebCall("create a share", path, vocabulary.creation_form(draft, code), changes=True)
        return vocabulary.created(draft, await self._data(request, call), code)

    async def update(self, share: Share, code: Secret | None, call: CloudCall) -> None:
        """Change a share."""
        path = f"{_ROOT}/partage/accessoire/update/{share.id}"
        await self._done(WebCall("change a share", path, vocabulary.change_form(share, code), changes=True), call)

    async def delete(self, number: int, call: CloudCall) -> None:
        """Delete a share."""
        path = f"{_ROOT}/partage/accessoire/delete/{number}"
        await self._done(WebCall("delete a share", path, {}, changes=True), call)

    async def _data(self, request: WebCall, call: CloudCall) -> Fields:
        answer = await self.session.ask(request, call)
        if not answer.has("data"):
            raise CloudProtocolError(f"{request.what}: the answer holds no data")
        if "data" in answer:
            return answer.required("data", lambda value: Fields.of(value, "the answer's data"))
        raise NotFoundError(f"{request.what}: the cloud does not know it", code=_OK)

    async def _done(self, request: WebCall, call: CloudCall) -> None:
        answer = await self.session.ask(request, call)
        if answer.number("status") != _OK:
            raise CloudProtocolError(f"{request.what}: the answer does not say whether it was done")


def _segment(text: str) -> str:
    return quote(text, safe="")


async def ensured(api: Api, locker: Locker, accessory: Accessory, draft: Share, call: CloudCall) -> Share:
    """Find the share like `draft`, or create it.

    A creation with unknown outcome is looked for before it is tried again.

    Raises:
        CloudError: It could not be found or created.
    """
    with call.marked():  # here, and not only at the caller's: the error goes to everybody who waits for this
        for attempt in range(1, _CREATIONS + 1):
            found = vocabulary.of_accessory(await api.shares(locker, call), accessory, draft.name)
            if found:
                return _usable(found[0])
            try:
                made = await api.create(draft, accessory, None, call)
            except CloudError:
                if attempt == _CREATIONS or not call.may_have_executed:
                    raise
                await api.session.pause(attempt)
            else:
                return await _keep_one(api, locker, accessory, made, call)
        raise AssertionError("unreachable: the last attempt returns or raises")


async def _keep_one(api: Api, locker: Locker, accessory: Accessory, made: Share, call: CloudCall) -> Share:
    """Keep one share where another program has created the same at the same time: all choose the same one."""
    rivals = vocabulary.of_accessory(await api.shares(locker, call), accessory, made.name)
    if not rivals or rivals[0].id == made.id:
        return made
    with suppress(NotFoundError):
        await api.delete(made.id, call)
    return _usable(rivals[0])


def _usable(share: Share) -> Share:
    if share.code is None:
        raise CloudProtocolError("the share is there, but the cloud does not tell its code")
    return share
