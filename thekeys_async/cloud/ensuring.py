"""One share under one name, however many ask for it at once and from wherever."""

from contextlib import suppress

from thekeys_async.cloud.api import Api
from thekeys_async.cloud.calls import Call
from thekeys_async.cloud.errors import CloudError, CloudProtocolError, NotFoundError
from thekeys_async.cloud.models import Accessory, Locker, Share
from thekeys_async.cloud.vocabulary import of_accessory

_CREATIONS = 3


async def ensured(api: Api, locker: Locker, accessory: Accessory, draft: Share, call: Call) -> Share:
    """Find the share like `draft`, or create it.

    A creation with unknown outcome is looked for before it is tried again.

    Raises:
        CloudError: It could not be found or created.
    """
    with call.marked():  # here, and not only at the caller's: the error goes to everybody who waits for this
        for attempt in range(1, _CREATIONS + 1):
            found = of_accessory(await api.shares(locker, call), accessory, draft.name)
            if found:
                return _usable(found[0])
            try:
                made = await api.create(draft, accessory, None, call)
            except CloudError:
                if attempt == _CREATIONS or not call.may_have_executed:
                    raise
                await api.session.pause(attempt)
            else:
                return await _the_one(api, locker, accessory, made, call)
        raise AssertionError("unreachable: the last attempt returns or raises")


async def _the_one(api: Api, locker: Locker, accessory: Accessory, made: Share, call: Call) -> Share:
    """Keep one share where another program has created the same at the same time: all choose the same one."""
    rivals = of_accessory(await api.shares(locker, call), accessory, made.name)
    if not rivals or rivals[0].id == made.id:
        return made
    with suppress(NotFoundError):
        await api.delete(made.id, call)
    return _usable(rivals[0])


def _usable(share: Share) -> Share:
    if share.code is None:
        raise CloudProtocolError("the share is there, but the cloud does not tell its code")
    return share
