"""Where Redis is, in a form that no log shows."""

import attrs


@attrs.frozen(repr=False)
class Url:
    """The URL of Redis, which may hold a password."""

    secret: str

    def __repr__(self) -> str:
        return "Url(***)"
