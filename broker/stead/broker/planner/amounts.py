"""Sums of money in a sentence. Precise or nothing: what can be read in two ways is said to be ambiguous."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from stead.broker.planner.words import listed

_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR"}
_NAMES = {
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
    "pound": "GBP",
    "pounds": "GBP",
    "francs": "CHF",
    "yen": "JPY",
    "bucks": "USD",
}
CODES = listed("EUR USD GBP CHF JPY SEK NOK DKK PLN CZK CAD AUD NZD CNY INR SGD HKD ZAR BRL MXN")

_NUMBER = r"(?<![\w.,])(?P<minus>[-−–]\s?)?(?P<number>\d[\d.,'’]*\d|\d)(?P<tail>[A-Za-z]\w*)?"
_CURRENCY = r"[€$£¥₹]|\b(?:" + "|".join([*sorted(CODES), *_NAMES]) + r")\b"
_MONEY = re.compile(rf"(?P<before>{_CURRENCY})?\s?(?:{_NUMBER})(?:\s?(?P<after>{_CURRENCY}))?", re.I)
_SIGNED = re.compile(r"(?P<minus>[-−–])\s?(?P<before>[€$£¥₹])\s?(?P<number>\d[\d.,'’]*\d|\d)", re.I)


class AmbiguousError(ValueError):
    """The number can be read in more than one way; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the text, with its currency where it has one."""

    value: Decimal
    currency: str | None
    start: int
    end: int
    written: str

    @property
    def fraction_digits(self) -> int:
        """How many digits stand after the decimal point."""
        exponent = self.value.as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0


def numbers(text: str) -> Iterator[Number]:
    """Each number in `text`, in order. Raises `AmbiguousError` where one can be read in two ways."""
    taken = 0
    for match in sorted([*_SIGNED.finditer(text), *_MONEY.finditer(text)], key=lambda found: found.start()):
        if match.start() < taken or match.groupdict().get("tail"):
            continue
        groups = match.groupdict()
        currency = _code(groups.get("before")) or _code(groups.get("after"))
        value = read_decimal(groups["number"])
        yield Number(-value if groups["minus"] else value, currency, match.start(), match.end(), match.group().strip())
        taken = match.end()


def _code(written: str | None) -> str | None:
    if not written:
        return None
    return _SIGNS.get(written) or _NAMES.get(written.lower()) or written.upper()


def read_decimal(written: str) -> Decimal:
    """Reads "1,250.50", "1.250,50", "250,5" and "1'000". Raises `AmbiguousError` for "1.250" and broken grouping."""
    digits = written.replace("'", "").replace("’", "")
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        group, point = (",", ".") if digits.rfind(".") > digits.rfind(",") else (".", ",")
        return _grouped(digits, group, point)
    if commas == 1 and len(digits) - digits.index(",") - 1 != 3:
        return Decimal(digits.replace(",", "."))
    if commas:
        return _grouped(digits, ",", ".")
    if points > 1:
        return _grouped(digits, ".", ",")
    if points == 1 and len(digits) - digits.index(".") - 1 == 3:
        whole, rest = digits.split(".")
        raise AmbiguousError(f"Do you mean {whole},{rest}.00 or {whole}.{rest}? Write the amount with two decimals.")
    return Decimal(digits)


def _grouped(digits: str, group: str, point: str) -> Decimal:
    whole, _, fraction = digits.partition(point)
    first, *rest = whole.split(group)
    if len(first) > 3 or not first or any(len(part) != 3 for part in rest) or point in fraction or group in fraction:
        raise AmbiguousError(f"I cannot read the amount “{digits}”. Write it like 1,250.50.")
    return Decimal(first + "".join(rest) + (f".{fraction}" if fraction else ""))
