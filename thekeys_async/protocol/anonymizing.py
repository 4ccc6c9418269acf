"""Taking out of a reply what tells whose gateway it is from.

What may stay is listed, not what has to go: the names of fields and headers, the readings, short numbers, and the
words in which a gateway says how a request went. Every other text and number is replaced by another of the same length,
within one recording always by the same, so that a reply is as long as it was and as well formed.
"""

import re
from collections.abc import Callable

from thekeys_async.protocol.recording import find_head

# Numbers that tell nobody whose gateway it is, and whose size is a habit of it.
_READINGS = frozenset({"rssi", "battery", "last_log", "version", "position"})
_SAYS_HOW_IT_WENT = frozenset({"status", "code", "message", "cause", "current_status", "error", "error_description"})
_HARMLESS = frozenset({"none", "null", "true", "false", "yes", "no", "on", "off", "ok", "ko", "open", "closed", "busy"})
_PLAIN_HEADERS = frozenset(
    {
        *("content-type", "content-encoding", "content-language", "transfer-encoding", "connection", "keep-alive"),
        *("date", "expires", "cache-control", "pragma", "vary", "accept-ranges", "upgrade"),
    }
)
_WORDY_HEADERS = frozenset({"server", "location"})
_SHORT_NUMBER = 3
_TELLING_NUMBER = 6  # digits that an identifier has as a rule
_SHORT_TEXT = 2
_MOST = 10_000
_LONGEST = 100

_STATUS = re.compile(r"HTTP/[0-9.]{1,3} ", re.IGNORECASE)
_LENGTH = re.compile(r"content-length\s*:[\s0-9]*", re.IGNORECASE)
_IN_CHUNKS = re.compile(r"^transfer-encoding\s*:.*chunked", re.IGNORECASE | re.MULTILINE)
_PACKED = re.compile(r"^content-encoding\s*:\s*(?!identity)\S", re.IGNORECASE | re.MULTILINE)
_CHUNK = re.compile(r"(?:\r?\n)?([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_PADDING = "\ufeff\xef\xbb\xbf \t\r\n\0"  # around JSON; the mark of UTF-8 also as Latin-1 shows it
_PUNCTUATION = f"{_PADDING}{{}}[],:"
_BINARY = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
_MAGIC = 2  # bytes that say what is in the rest

_JSON = re.compile(r'[{\[]\s{0,9}(?:["{\[]|\Z)')
_JSON_TOKEN = re.compile(
    r'"(?P<text>(?:[^"\\]|\\.)*)(?:"(?P<key>[ \t\r\n]{0,99}:)?|\\?\Z)|(?P<number>-?[0-9][0-9.eE+-]*)', re.DOTALL
)
_DECIMAL = re.compile(r"\s*[+-]?(?P<digits>[0-9]+)\s*")
_HEX = re.compile(r"\s*0[xX](?P<digits>[0-9A-Fa-f]+)\s*")
_VERSION = re.compile(r"(?:[A-Za-z][A-Za-z-]{0,30}/|[vV])[0-9]{1,2}(?:\.[0-9]{1,2}){0,2}|[0-9](?:\.[0-9]{1,2}){1,2}")
_FRACTION = re.compile(r"-?[0-9]+\.0*")

# Parts of a text, from those that hold others to those that are held.
_HOST = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.]{1,9}://)(?P<host>[^\s/?#\"'<>\\]{1,300})"
    r"|(?<![^\s\"'<>(),;:=])[^\s\"'<>(),;:=@]{1,64}@[^\s\"'<>(),;:=@]{1,255}"
    r"|(?<![0-9A-Za-z.-])(?:[0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![0-9A-Za-z.-])"
)
_ESCAPES = re.compile(r"(?:\\u00[2-7][0-9A-Fa-f]){2,99}|(?:&#[xX]?[0-9A-Fa-f]{1,6};){2,99}|(?:%[0-9A-Fa-f]{2}){3,99}")
_TELLTALE = re.compile(
    rf'"(?:{"|".join(_READINGS)})"\s{{0,9}}:\s{{0,9}}"?-?[0-9]+'
    r"|(?<![0-9A-Fa-f:-])(?P<mac>(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})(?![0-9A-Fa-f:-])"
    r"|(?<![0-9.])(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9.])"
    r"|(?<![0-9A-Za-z:])(?P<ip6>(?=[0-9A-Fa-f:]{0,34}::|(?:[0-9A-Fa-f]{1,4}:){7})[0-9A-Fa-f:]{2,39})(?![0-9A-Za-z:])"
    r"|(?P<spread>(?<![0-9])\+?[0-9]{1,4}(?:[ .-][0-9]{1,4}){2,9}(?![0-9]))"
    r"|0[xX](?P<hex>[0-9A-Fa-f]{4,16})(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?P<bare_hex>(?=[0-9]{0,30}[A-Fa-f])(?=[A-Fa-f]{0,30}[0-9])[0-9A-Fa-f]{6,32})(?![0-9A-Za-z])"
    r'|"identifier"\s{0,9}:\s{0,9}"?(?P<identifier>[0-9]{4,})'
    r"|(?P<number>[0-9]{6,})"
    r"|(?<![0-9])(?P<short>[0-9]{4,5})(?![0-9])"
)
_ADDRESSES = frozenset({"mac", "bare_hex", "ip", "ip6"})
_DIGITS_OF_A_NUMBER = 7
_RUN = re.compile(r"[0-9A-Za-z+_%-]{12,}")
_DIGITS = re.compile(r"[0-9]+")
_RANDOM_GROUPS = 3

Hide = Callable[[str], str]
"""Leaves secrets out of a text, and stars of the same length in their place."""


class Anonymizer:
    """Replaces whatever tells whose gateway it is, the same by the same each time."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._gateways: dict[str, str] = {}

    def number(self, number: str) -> str:
        """Replace a number by another of the same length; one of three digits or fewer tells nothing."""
        if len(number) <= _SHORT_NUMBER:
            return number
        if len(number) > _LONGEST:
            return "9" * len(number)
        if number not in self._numbers:
            least = 10 ** (len(number) - 1)
            # One that sends ever new numbers costs no more memory than this.
            self._numbers[number if len(self._numbers) < _MOST else ""] = str(least + len(self._numbers) % (9 * least))
        return self._numbers.get(number, "9" * len(number))

    def name(self, name: str) -> str:
        """Replace the name of a gateway."""
        return self._gateways.setdefault(name, f"gateway-{len(self._gateways) + 1}")

    def words(self, text: str) -> str:
        """Replace in a text for people what does not look like words."""
        text = _HOST.sub(_without_host, text)
        text = _ESCAPES.sub(_stars, text)
        text = _TELLTALE.sub(self._replace, text)
        return _RUN.sub(_without_random, text)

    def reply(self, text: str, hide: Hide = str) -> str:
        """Replace what is in a reply, also what goes on from one chunk of it to the next.

        Args:
            text: The reply as it came.
            hide: Leaves secrets out.
        """
        begun, end = find_head(text)
        stop = len(text) if end is None else end
        head, body = text[:stop], text[stop:]
        chunks = _chunks(body) if _IN_CHUNKS.search(text, begun, stop) else []
        joined = "".join(body[chunk] for chunk in chunks)
        packed = _PACKED.search(text, begun, stop) is not None
        fit, at, done = self._body(joined, hide, packed=packed), 0, 0
        parts: list[str] = []
        for chunk in chunks:
            length = chunk.stop - chunk.start
            parts += (body[at : chunk.start], fit[done : done + length])
            at, done = chunk.stop, done + length
        lines = (self._line(hide(line)) for line in head.split("\n"))
        return "\n".join(lines) + "".join(parts) + self._body(body[at:], hide, packed=packed)

    def _line(self, line: str) -> str:
        """Replace what is in a line of a head."""
        told = line.rstrip("\r")
        fit = self.words(told) if _STATUS.match(told) else self._header(told)
        return fit + line[len(told) :]

    def _header(self, line: str) -> str:
        name, colon, value = line.partition(":")
        known = name.strip().lower() if colon else ""
        if _LENGTH.fullmatch(line):
            return line
        if known in _PLAIN_HEADERS:
            return f"{name}:{_TELLTALE.sub(self._replace, value)}"
        if known in _WORDY_HEADERS:
            value, question, query = value.partition("?")
            return f"{name}:{self.words(value)}{question}{'x' * len(query)}"
        return f"{self.words(name)}:{self._text(value)}" if colon else self._text(line)

    def _body(self, body: str, hide: Hide, *, packed: bool) -> str:
        """Replace what is in a body; of one that can't be read only the first bytes stay, which say what it is."""
        plain = body.strip(_PADDING)
        if packed or _BINARY.search(plain):
            start = len(body) - len(body.lstrip(_PADDING)) + _MAGIC
            return body[:start] + "*" * (len(body) - start)
        body = hide(body)
        found = _JSON.search(body)
        at = 0 if plain[:1] in {"{", "["} else found.start() if found else len(body)
        return self.words(body[:at]) + self._json(body[at:])

    def _json(self, body: str) -> str:
        """Replace what is in JSON, also in one that is cut off, and in what stands behind it."""
        parts: list[str] = []
        name, at, depth = "", 0, 0
        for token in _JSON_TOKEN.finditer(body):
            between, at = body[at : token.start()], token.end()
            depth += sum(map("{[".count, between)) - sum(map("}]".count, between))
            parts.append(self._between(between))
            if token["number"] is not None:
                parts.append(self._json_number(name, token["number"]))
                continue
            text = token["text"]
            if token["key"] is not None:
                name = text.casefold()
                fit = self.words(text)
            else:
                fit = self._json_text(name, text, says_how_it_went=depth <= 1 and name in _SAYS_HOW_IT_WENT)
            parts.append(f'"{fit}{token[0][1 + len(text) :]}')
        parts.append(self._between(body[at:]))
        return "".join(parts)

    def _between(self, text: str) -> str:
        return self.words(text) if text.strip(_PUNCTUATION) else text

    def _json_number(self, name: str, number: str) -> str:
        if name in _READINGS:
            return number
        whole, dot, fraction = number.partition(".")
        if not dot or _FRACTION.fullmatch(number):
            return self._decimal(name, whole) + dot + fraction
        return number if len(number) <= _SHORT_NUMBER + 1 else re.sub("[1-9]", "1", number)

    def _json_text(self, name: str, text: str, *, says_how_it_went: bool) -> str:
        if _DECIMAL.fullmatch(text) or _HEX.fullmatch(text):
            return text if name in _READINGS else self._decimal(name, text)
        if (address := _TELLTALE.fullmatch(text)) and address.lastgroup in _ADDRESSES:
            return self._replace(address)
        return self.words(text) if says_how_it_went else self._text(text)

    def _decimal(self, name: str, written: str) -> str:
        """Replace a whole number, decimal or hexadecimal, if it may be an identifier."""
        if found := _HEX.fullmatch(written):
            return written.replace(found["digits"], self._hex(found["digits"]))
        digits = _DIGITS.search(written)
        if digits is None:
            return written
        telling = name == "identifier" or len(digits[0]) >= _TELLING_NUMBER or digits[0] in self._numbers
        return written.replace(digits[0], self.number(digits[0])) if telling else written

    def _hex(self, digits: str) -> str:
        """Replace a hexadecimal number by the one that stands for its value; a short one tells nothing."""
        if len(digits) > _LONGEST:
            return "9" * len(digits)
        number = str(int(digits, 16))
        if len(number) < _TELLING_NUMBER and number not in self._numbers:
            return digits
        written = f"{int(self.number(number)):0{len(digits)}x}"[-len(digits) :]
        return written.upper() if digits.isupper() else written

    def _text(self, text: str) -> str:
        """Replace a text that may say anything, between the spaces around it."""
        told = text.strip()
        if len(told) <= _SHORT_TEXT or told.casefold() in _HARMLESS or _VERSION.fullmatch(told):
            return text
        if _DECIMAL.fullmatch(told):
            return self._decimal("", text)
        if len(told) <= _LONGEST and told not in self._texts and len(self._texts) < _MOST:
            self._texts[told] = _letters(len(self._texts))
        letters = self._texts.get(told, "")
        return text.replace(told, letters[: len(told)].rjust(len(told), "x"))

    def _replace(self, found: "re.Match[str]") -> str:
        whole = found[0]
        match found.lastgroup:
            case "mac" | "bare_hex" | "ip" | "ip6":
                return re.sub("[0-9A-Fa-f]", "0", whole)
            case "spread":
                told = sum(map(str.isdigit, whole)) >= _DIGITS_OF_A_NUMBER
                return re.sub("[0-9]", "0", whole) if told else whole
            case "hex":
                return whole[:2] + self._hex(found["hex"])
            case "identifier" | "number" as kind:
                return whole[: -len(found[kind])] + self.number(found[kind])
            case "short" if whole in self._numbers:  # few digits tell nothing but where they are an identifier's
                return self.number(whole)
            case _:
                return whole


def _letters(number: int) -> str:
    """Write a number in letters."""
    written = ""
    while number:
        number, digit = divmod(number, 26)
        written = chr(ord("a") + digit) + written
    return written


def _stars(found: "re.Match[str]") -> str:
    return "*" * len(found[0])


def _without_host(found: "re.Match[str]") -> str:
    return (found["scheme"] or "") + "x" * len(found["host"] or found[0])


def _without_random(found: "re.Match[str]") -> str:
    """Leave out a long run of letters and digits that is no word: a code, a token, a part of a hash."""
    run = found[0]
    groups = len(_DIGITS.findall(run))
    mixed = run.lower() != run != run.upper()
    return _stars(found) if groups and (mixed or groups >= _RANDOM_GROUPS) else run


def _chunks(body: str) -> list[slice]:
    """Find what is in the chunks of a body, as far as it is one in chunks."""
    found: list[slice] = []
    at = 0
    while start := _CHUNK.match(body, at):
        at = min(len(body), start.end() + int(start[1], 16))
        found.append(slice(start.end(), at))
    return found
