"""Tables of the simulated cloud: accessories, lockers, shares, tokens, sessions."""

import secrets
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import attrs

from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.locker import SimulatedLocker

GATEWAY = 1
KEYPAD = 2
REMOTE = 3


@attrs.define(eq=False)
class CloudAccessory:
    """Something that lockers can be shared with. What is not an identifier may be changed at any time.

    Attributes:
        number: The cloud's number for it.
        identifier: Its text identifier.
        name: The name that its owner gave it.
        kind: 1 for a gateway, 2 for a keypad, 3 for a remote.
        gateway: The simulated gateway that it is; None for a keypad or a remote.
        belongs_to: The identifiers of the lockers that a keypad or a remote belongs to.
        reports: Whether the cloud has ever heard of it; if not, its `info` is null.
        silent_for: The time since it last reported.
        address: The address that the cloud tells; None for that of the linked gateway.
        issued: The codes that it has been handed, by the locker's identifier.
    """

    number: int
    identifier: str
    name: str
    kind: int
    gateway: SimulatedGateway | None = None
    belongs_to: frozenset[int] = frozenset()
    reports: bool = True
    silent_for: timedelta = timedelta(0)
    address: str | None = None
    issued: dict[int, frozenset[str]] = attrs.field(factory=dict[int, "frozenset[str]"], repr=False)

    @property
    def told_address(self) -> str:
        """The address that the cloud tells."""
        return self.address or (self.gateway.address if self.gateway else "")

    @property
    def lockers(self) -> frozenset[int]:
        """The identifiers of the lockers that it can work with."""
        return frozenset(self.gateway.lockers) if self.gateway else self.belongs_to


@attrs.define(eq=False)
class CloudShare:
    """A share of a locker with an accessory.

    Attributes:
        number: The cloud's number for it.
        locker: The locker's identifier.
        accessory: With what.
        name: Its name.
        code: Its code.
        active: Whether it is switched on.
        description: Free text.
        first_day: The first day, or None.
        last_day: The last day, or None.
        first_hour: When the first day begins, or each day if there is none; or None.
        last_hour: When the last day ends, or each day; or None.
        iddesc: The maker's word for its kind, `"remote"` for example.
        notification_enabled: Whether its use is told to the owner's phone.
    """

    number: int
    locker: int
    accessory: CloudAccessory
    name: str
    code: str = attrs.field(repr=False)
    active: bool = True
    description: str = ""
    first_day: date | None = None
    last_day: date | None = None
    first_hour: time | None = None
    last_hour: time | None = None
    iddesc: str = ""
    notification_enabled: bool = True

    def holds(self, now: datetime) -> bool:
        """Tell whether it opens at that moment (of the locker's wall clock); hours without a day are not looked at."""
        begins = self.first_day and datetime.combine(self.first_day, self.first_hour or time.min)
        ends = self.last_day and datetime.combine(self.last_day, self.last_hour or time.max)
        return self.active and (begins is None or begins <= now) and (ends is None or now <= ends)


@attrs.define(eq=False)
class CloudPersonShare:
    """A share of a locker with a person, who opens it with an account of their own.

    Attributes:
        number: The cloud's number for it.
        locker: The locker's identifier.
        phone: The person's phone number.
        name: Its name.
        active: Whether it is switched on.
        description: Free text.
        accepted: Whether the person has accepted it; until then it is listed as asked for. May be changed.
        notification_enabled: Whether its use is told to the owner's phone.
    """

    number: int
    locker: int
    phone: str
    name: str
    active: bool = True
    description: str = ""
    accepted: bool = False
    notification_enabled: bool = True


class CloudTables:
    """Rows, and the numbers that the cloud gives them."""

    def __init__(self) -> None:
        self.accessories: dict[str, CloudAccessory] = {}
        self.shares: dict[int, CloudShare] = {}
        self.people: dict[int, CloudPersonShare] = {}
        self._sessions: set[str] = set()
        self.names: dict[int, str] = {}
        self._tokens: dict[str, float] = {}
        self._numbers: dict[int, int] = {}
        self._last = 3700

    def number(self) -> int:
        """Give a new number."""
        self._last += 1
        return self._last

    def add_accessory(self, accessory: CloudAccessory) -> CloudAccessory:
        """Add an accessory.

        Raises:
            ValueError: There is one of that identifier.
        """
        if accessory.identifier in self.accessories:
            raise ValueError(f"There is an accessory {accessory.identifier!r} already.")
        self.accessories[accessory.identifier] = accessory
        return accessory

    def lockers(self) -> Iterator[tuple[int, int, SimulatedLocker]]:
        """Yield the cloud's number, the identifier, and the locker as its first gateway knows it."""
        seen: set[int] = set()
        for accessory in self.accessories.values():
            for identifier, locker in accessory.gateway.lockers.items() if accessory.gateway else ():
                if identifier not in seen:
                    seen.add(identifier)
                    yield self.locker_number(identifier), identifier, locker

    def locker_number(self, identifier: int) -> int:
        """Return the cloud's number of a locker."""
        if identifier not in self._numbers:
            self._numbers[identifier] = self.number()
        return self._numbers[identifier]

    def locker_identifier(self, number: str) -> int | None:
        """Return the identifier of a locker, by the cloud's number."""
        return next((identifier for known, identifier, _ in self.lockers() if str(known) == number), None)

    def accessory(self, number: str) -> CloudAccessory | None:
        """Return an accessory by its number."""
        return next((row for row in self.accessories.values() if str(row.number) == number), None)

    def share(self, number: str) -> CloudShare | None:
        """Return a share with an accessory by its number."""
        return next((share for share in self.shares.values() if str(share.number) == number), None)

    def person(self, number: str) -> CloudPersonShare | None:
        """Return a share with a person by its number."""
        return next((share for share in self.people.values() if str(share.number) == number), None)

    def shares_of(self, locker: int, accessory: CloudAccessory | None = None) -> list[CloudShare]:
        """Return the shares of a locker, with one accessory or all."""
        return [
            share for share in self.shares.values() if share.locker == locker and accessory in {None, share.accessory}
        ]

    def new_token(self, good_until: float) -> str:
        """Hand out a token."""
        token = secrets.token_hex(16)
        self._tokens[token] = good_until
        return token

    def knows_token(self, token: str, now: float) -> bool:
        """Tell whether a token is good."""
        return self._tokens.get(token, 0.0) > now

    def forget_tokens(self) -> None:
        """Let every token and every session of the web pages have expired."""
        self._tokens.clear()
        self._sessions.clear()

    def new_session(self) -> str:
        """Open a session of the web pages."""
        session = secrets.token_hex(13)
        self._sessions.add(session)
        return session

    def knows_session(self, session: str) -> bool:
        """Tell whether a session of the web pages is open."""
        return session in self._sessions


def new_code() -> str:
    """Make a share code like those seen: 16 letters and digits."""
    return secrets.token_urlsafe(12).replace("-", "x").replace("_", "y")
