"""FinPort's Portfolio agent: what the person who asks holds, valued. It sees what the custodian shows them."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from stead.agents.kit import Agent, Grant, McpClient
from stead.identity.errors import ConfigurationError
from stead.identity.types import ASGIApp, Json
from stead.identity.workload import Workload

BASE = "EUR"
_CENT = Decimal("0.01")

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,12}$", description="A ticker symbol, such as AAPL.")]
Symbols = Annotated[list[Symbol], Field(max_length=50)]


class Rates(Protocol):
    """A source of exchange rates. A live one is a class with these two members."""

    source: str

    def rate(self, currency: str) -> Decimal:
        """What one unit of `currency` is worth in euro. Raises `ConfigurationError` for one it does not know."""
        ...


class SampleRates:
    """Invented rates, as invented as the sample prices."""

    source = "exchange rates: sample data, invented"
    _euro: Mapping[str, Decimal] = {
        "EUR": Decimal(1),
        "USD": Decimal("0.92"),
        "CHF": Decimal("1.06"),
        "GBP": Decimal("1.17"),
    }

    def rate(self, currency: str) -> Decimal:
        try:
            return self._euro[currency]
        except KeyError:
            raise ConfigurationError(f"There is no exchange rate for {currency}.") from None


class Position(BaseModel):
    """One holding. `price` is in its own `currency`; `value` in that of the total, of which `weight` is its share."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    name: str
    quantity: str
    price: str
    currency: str
    value: str
    weight: float


class Summary(BaseModel):
    """What somebody holds, and what it is worth together."""

    model_config = ConfigDict(frozen=True)

    positions: list[Position]
    total: str
    currency: str
    as_of: str
    source: str

    def __str__(self) -> str:
        if not self.positions:
            return "There are no such positions."
        count = len(self.positions)
        worth = f"{Decimal(self.total):,.2f} {self.currency}"
        return f"{count} position{'' if count == 1 else 's'}, together worth {worth}."


portfolio = Agent(
    "portfolio",
    "Shows what a customer holds and what it is worth.",
    needs=["holdings:read"],
    gifts={SampleRates: lambda _: SampleRates()},
)


@portfolio.skill(
    examples=["Show my portfolio", "What are AAPL and MSFT worth in my portfolio?"],
    tags=["portfolio", "holdings", "positions", "value"],
    scopes=["portfolio:read"],
    grant=Grant.OBO,
)
async def summary(holdings: McpClient, rates: SampleRates, symbols: Symbols | None = None) -> Summary:
    """Lists a customer's positions with quantity, price, value and weight, and the total; all, or the given symbols."""
    held = await holdings.call("list_holdings", **({} if symbols is None else {"symbols": symbols}))
    return valued(held, rates)


def valued(held: Json, rates: Rates) -> Summary:
    """The holdings with their values, weights and total."""
    euros = [
        Decimal(row["quantity"]) * Decimal(row["price"]) * rates.rate(row["currency"]) for row in held["positions"]
    ]
    total = sum(euros, Decimal())
    positions = [_position(row, euro, total) for row, euro in zip(held["positions"], euros, strict=True)]
    return Summary(
        positions=sorted(positions, key=lambda one: -one.weight),
        total=_money(total),
        currency=BASE,
        as_of=held["as_of"],
        source=f"{held['source']}; {rates.source}",
    )


def _position(row: Mapping[str, Any], euro: Decimal, total: Decimal) -> Position:
    return Position(
        symbol=row["symbol"],
        name=row["name"],
        quantity=str(row["quantity"]),
        price=str(row["price"]),
        currency=row["currency"],
        value=_money(euro),
        weight=round(float(euro / total), 4) if total else 0.0,
    )


def _money(value: Decimal) -> str:
    return str(value.quantize(_CENT, ROUND_HALF_EVEN))


def app(workload: Workload) -> ASGIApp:
    """The agent, for the network's launcher."""
    return portfolio.app(workload)
