"""How amounts, account numbers and grants are written for people. Pure; knows no HTTP and no template."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

THIN = "\u202f"
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")

GRANT_WORDS = {
    "login": "signed in as {name}",
    "obo": "on behalf of {name}",
    "s2s": "as itself",
    "in-task": "approved by {name} for this once",
}


def decimal(value: object) -> Decimal | None:
    """The number that a wire value holds, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def amount(value: object, places: int = 2) -> str:
    """A number with thin separators and a fixed number of decimals; what is no number is written as it came."""
    number = decimal(value)
    return str(value) if number is None else f"{number:,.{places}f}".replace(",", THIN).replace("-", "\u2212")


def quantity(value: object) -> str:
    """A number of units, with no more decimals than it has."""
    number = decimal(value)
    if number is None:
        return str(value)
    number = number.normalize()
    places = max(0, -int(number.as_tuple().exponent))
    return amount(number, min(places, 6))


def percent(value: object, *, signed: bool = False) -> str:
    """A percentage with one decimal; `signed` writes the plus too."""
    number = decimal(value)
    if number is None:
        return str(value)
    text = f"{number:{'+' if signed else ''}.1f}".replace("-", "\u2212")
    return f"{text}{THIN}%"


def figures(text: object) -> str:
    """A sentence whose numbers have the same thin separators as the tables under it."""
    return _GROUPED.sub(THIN, str(text))


def iban(value: object) -> str:
    """An account number in groups of four."""
    text = str(value).replace(" ", "")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def moment(value: object) -> str:
    """A point in time, UTC, to the minute: from seconds, or from an ISO 8601 text."""
    try:
        when = (
            datetime.fromtimestamp(float(value), UTC)
            if isinstance(value, int | float)
            else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        )
    except (ValueError, OverflowError, OSError):
        return str(value)
    return f"{when.day} {when:%B %Y}, {when:%H:%M} UTC" if when.hour or when.minute else f"{when.day} {when:%B %Y}"


def host(url: object) -> str:
    """Host and port of a URL: what a person is shown of where a link leads."""
    return urlsplit(str(url)).netloc or str(url)


def identity_words(grant: str, name: str, provider: str | None = None) -> str:
    """By what right, in words: never a grant type's URN."""
    if provider:
        return f"on behalf of {name}, once approved at {provider}"
    return GRANT_WORDS.get(grant, grant).format(name=name)


def sentence(text: object) -> str:
    """Words that begin with a capital and end with a full stop."""
    words = str(text).strip()
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def tidy(name: str) -> str:
    """A name of the wire as a title: `market-data-agent` is `Market data`."""
    bare = name.removesuffix("-agent").removesuffix("-mcp").replace("-", " ").replace("_", " ").strip()
    return bare[:1].upper() + bare[1:] if bare else "Unknown"


def plain(value: Any) -> str:
    """A scalar or a small structure as text for a table cell."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict) and set(value) == {"$ref"}:
        return f"from {value['$ref']}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {plain(member)}" for name, member in value.items())
    return ", ".join(plain(one) for one in value) if isinstance(value, list | tuple) else str(value)
