"""Where quotes come from. A live source is a class with these three members, given to `quotes_server`.

Nothing here knows who asks: a provider is told symbols and a number of days, never a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listing:
    """A security as its exchange lists it."""

    symbol: str
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One trading day's closing price."""

    day: date
    close: Decimal


class QuoteProvider(Protocol):
    """A source of listings and closing prices.

    `source` is shown with every answer: say whose data it is, and how late. To plug in a live source, implement these
    members and pass the object to `quotes_server`; raise `ProviderUnavailable` when the source gives no usable answer.
    """

    source: str

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        """The listings by symbol, without those the source does not know."""
        ...

    async def bars(self, symbol: str, days: int) -> Sequence[Bar]:
        """The last `days` trading days of a listed symbol, oldest first; fewer, but never none, where it has fewer."""
        ...
