"""A gateway driven as the vendor's sample does it: a timestamp of whole seconds, sent at once, whoever else is asking.

It is here to be compared with the library, and for nothing else.
"""

import base64
import hashlib
import hmac
import time

import attrs
import httpx

from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.replies import Reply, check_done


@attrs.frozen
class NaiveClient:
    """The vendor's sample, ready for several callers.

    Attributes:
        http: Sends the requests.
        address: The gateway's host and port.
        code: The share code, the same for all its lockers.
    """

    http: httpx.AsyncClient
    address: str
    code: str = attrs.field(repr=False)

    async def ask(self, endpoint: Endpoint, identifier: int) -> None:
        """Send a signed command.

        Raises:
            TheKeysError: What the gateway answered instead of doing it.
            httpx.HTTPError: It did not answer.
        """
        timestamp = str(int(time.time()))
        digest = hmac.new(self.code.encode(), timestamp.encode("ascii"), hashlib.sha256).digest()
        form = {"identifier": str(identifier), "ts": timestamp, "hash": base64.b64encode(digest).decode()}
        response = await self.http.post(f"http://{self.address}{endpoint.path}", data=form)
        check_done(endpoint, Reply(response.status_code, response.content))
