"""The table of requests: one row for each, as the vendor's page and the field know them."""

import attrs


@attrs.frozen
class Endpoint:
    """One request that a gateway understands.

    Attributes:
        name: The name in this project and in the vendor's command.
        method: The HTTP method that working clients use.
        path: The path on the gateway.
        fields: The form fields it takes, in the order they are sent.
        bluetooth: Whether the gateway speaks to a locker for it (seconds, and a longer rest afterwards).
        command: Whether it is anything but a pure read: it may change a door, a locker or the gateway.
        door: Whether it moves a bolt.
        may_be_empty: Whether an empty body has been seen to mean that it was done.
    """

    name: str
    method: str
    path: str
    fields: tuple[str, ...] = ()
    bluetooth: bool = False
    command: bool = False
    door: bool = False
    may_be_empty: bool = False

    @property
    def signed(self) -> bool:
        """Whether it carries a timestamp and a hash."""
        return "hash" in self.fields


_SIGNED = ("identifier", "ts", "hash")

LOCKERS = Endpoint("lockers", "GET", "/lockers")
STATUS = Endpoint("status", "GET", "/status")
ROOT_STATUS = Endpoint("root_status", "GET", "/")
SYNCHRONIZE = Endpoint("synchronize", "GET", "/synchronize", bluetooth=True, command=True)
UPDATE = Endpoint("update", "POST", "/update", command=True)
SYNCHRONIZE_LOCKER = Endpoint(
    "synchronize_locker",
    "POST",
    "/locker/synchronize",
    ("identifier",),
    bluetooth=True,
    command=True,
    may_be_empty=True,
)
UPDATE_LOCKER = Endpoint(
    "update_locker",
    "POST",
    "/locker/update",
    ("identifier",),
    bluetooth=True,
    command=True,
    may_be_empty=True,
)
OPEN = Endpoint("open", "POST", "/open", _SIGNED, bluetooth=True, command=True, door=True)
CLOSE = Endpoint("close", "POST", "/close", _SIGNED, bluetooth=True, command=True, door=True)
CALIBRATE = Endpoint("calibrate", "POST", "/calibrate", _SIGNED, bluetooth=True, command=True, door=True)
LOCKER_STATUS = Endpoint("locker_status", "POST", "/locker_status", _SIGNED, bluetooth=True)
AUTO = Endpoint("auto", "POST", "/auto", ("enable",), command=True)

ENDPOINTS: tuple[Endpoint, ...] = (
    LOCKERS,
    STATUS,
    ROOT_STATUS,
    SYNCHRONIZE,
    UPDATE,
    SYNCHRONIZE_LOCKER,
    UPDATE_LOCKER,
    OPEN,
    CLOSE,
    CALIBRATE,
    LOCKER_STATUS,
    AUTO,
)
"""Every request of the protocol; the simulated gateway answers them all."""
