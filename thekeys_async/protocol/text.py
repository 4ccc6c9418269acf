"""Text from outside, made fit for people: without secrets, printable, and of bounded length.

Everything here is linear in the length of the text: a reply is up to 64 KiB, and all gateways of an event loop stand
still while one of them is understood.
"""

import json
import re
from collections.abc import Callable, Set as AbstractSet
from html import escape
from urllib.parse import quote

_LONGEST = 200
_WORD = re.compile(r"\S+")
_TELLTALE = re.compile(r"[0-9+/%_]")
# Letters of base64, also in the form for URLs and percent-encoded. A word has one run or several; each of a length
# that a hash or a share code may have is left out if anything in the word says that it is not a plain one.
_RUN = re.compile(r"[A-Za-z0-9+/%_-]{12,}=*")
_ESCAPED = re.compile(r"%[0-9A-F]{2}")
_SHORTEST_PIECE = 8
_HIDDEN = "***"


def fit_to_show(text: str) -> str:
    """Make text from outside fit for messages and logs.

    It is masked before it is cut: half a secret at the end would not be recognised.

    Args:
        text: Any text, up to what a reply may hold.

    Returns:
        At most 200 characters on one line: what looks like a hash or a share code is left out, and what is not
        printable (control characters, escape sequences, line ends) is a space.
    """
    return printable(_WORD.sub(_mask_word, text))[:_LONGEST].rstrip()


def printable(text: str) -> str:
    """Put text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _mask_word(found: "re.Match[str]") -> str:
    word = found[0]
    return _RUN.sub(_HIDDEN, word) if _TELLTALE.search(word) else word


def mask(text: str, secret: str, *, same_length: bool = False) -> str:
    """Leave a known secret out of a text, in every form in which a gateway may echo it.

    Args:
        text: The text from outside.
        secret: A hash or a share code.
        same_length: Whether a star stands for each character that is left out; else a few for all of them.

    Returns:
        The text without any piece of at least 8 characters of the secret (all of a shorter secret): as it is, with
        spaces for ``+``, in the URL-safe alphabet, percent-encoded, or escaped as in JSON or HTML.
    """
    pieces, shortest = _pieces(secret)
    if not any(piece in text for piece in pieces):
        return text
    return _mask_pieces(text, pieces, shortest, same_length=same_length)


def _pieces(secret: str) -> tuple[set[str], int]:
    """Cut all forms of a secret into pieces of one length."""
    urlsafe = secret.replace("+", "-").replace("/", "_")
    percent = quote(secret, safe="")
    in_json = json.dumps(secret)[1:-1]
    forms = {secret, secret.replace("+", " "), secret.replace(" ", "+"), urlsafe, escape(secret)}
    forms |= {percent, _ESCAPED.sub(_lower, percent), in_json, in_json.replace("/", "\\/")}
    shortest = min(_SHORTEST_PIECE, len(secret))
    return {form[i : i + shortest] for form in forms for i in range(len(form) - shortest + 1)}, shortest


class Masker:
    """Masks many known secrets in texts at the cost of one, with stars of the same length.

    Its attributes are functions: who reads them (rich does) finds no secret.
    """

    __slots__ = ("add", "mask")

    add: Callable[[str], None]
    mask: Callable[[str], str]

    def __init__(self) -> None:
        known: dict[int, set[str]] = {}

        def add(secret: str) -> None:
            pieces, length = _pieces(secret)
            known.setdefault(length, set()).update(pieces)

        def mask(text: str) -> str:
            for length, pieces in known.items():
                text = _mask_pieces(text, pieces, length, same_length=True)
            return text

        self.add, self.mask = add, mask


def _lower(found: "re.Match[str]") -> str:
    return found[0].lower()


def _mask_pieces(text: str, pieces: AbstractSet[str], length: int, *, same_length: bool) -> str:
    """Leave out all that pieces of one length cover. Linear: each place is looked at once."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        if text[at : at + length] not in pieces:
            kept.append(text[at])
            at += 1
            continue
        start, at = at, at + length
        while text[at - length + 1 : at + 1] in pieces:
            at += 1
        kept.append("*" * (at - start) if same_length else _HIDDEN)
    return "".join(kept)
