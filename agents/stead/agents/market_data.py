"""FinPort's Market Data agent: where prices have been heading. A service among services, told symbols and no person."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from stead.agents.kit import Agent, Grant, McpClient
from stead.identity.errors import InvalidRequest
from stead.identity.types import ASGIApp, Json
from stead.identity.workload import Workload

LOOKBACK = 60
"""Trading days that the trend is read from."""

SHOWN = 60
"""Closes that are passed on for a picture."""

FLAT = 1.0
"""Percent within which an expected change is called flat."""

METHOD = (
    f"Log-linear trend of the last {LOOKBACK} closes, continued from the last one; the band is one standard deviation "
    "of the daily changes around that trend, growing with the square root of the days ahead. Describes the past; "
    "no advice."
)

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,12}$", description="A ticker symbol, such as AAPL.")]
Symbols = Annotated[list[Symbol], Field(min_length=1, max_length=20)]
Horizon = Annotated[int, Field(ge=1, le=250, description="How many trading days ahead.")]


@dataclass(frozen=True, slots=True)
class Series:
    """The closes of one security, oldest first."""

    symbol: str
    name: str
    currency: str
    closes: Sequence[float]
    last_day: str


class PriceHistory(Protocol):
    """A source of closes. A live one is a class with this one member."""

    async def closes(self, symbols: Sequence[str], days: int) -> tuple[list[Series], list[str], str]:
        """The series, the symbols that are not known, and whose data it is."""
        ...


@dataclass(frozen=True, slots=True)
class QuotesHistory:
    """The quotes server as a source."""

    quotes: McpClient

    async def closes(self, symbols: Sequence[str], days: int) -> tuple[list[Series], list[str], str]:
        answer = await self.quotes.call("get_history", symbols=list(symbols), days=days)
        return [_series(one) for one in answer["series"]], list(answer["unknown"]), str(answer["source"])


class Forecast(BaseModel):
    """Where one price is heading: expected change, the range at the horizon, and the band on the way."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    name: str
    last: str
    currency: str
    change_pct: float
    trend: Literal["up", "flat", "down"]
    low: str
    high: str
    history: list[float]
    band: list[tuple[float, float]]
    method: str


class Forecasts(BaseModel):
    """One forecast for each known symbol."""

    model_config = ConfigDict(frozen=True)

    forecasts: list[Forecast]
    unknown: list[str]
    horizon_days: int
    as_of: str
    source: str

    def __str__(self) -> str:
        told = [f"{one.symbol} {one.trend} ({one.change_pct:+.1f} %)" for one in self.forecasts]
        return f"Trend over {self.horizon_days} trading days: {', '.join(told)}."


market_data = Agent(
    "market_data",
    "Tells how prices of listed securities have been trending, and where that trend leads.",
    needs=["quotes:read"],
)


@market_data.skill(
    examples=["How will AAPL and MSFT trend?", "What is the trend of SAP over the next 20 days?"],
    tags=["market", "trend", "forecast", "prices", "quotes"],
    scopes=["market:read"],
    grant=Grant.S2S,
)
async def trend(symbols: Symbols, quotes: McpClient, horizon_days: Horizon = 30) -> Forecasts:
    """Forecasts the trend of each symbol over the coming trading days, with a band, and names its method."""
    return await forecasts(QuotesHistory(quotes), symbols, horizon_days)


async def forecasts(source: PriceHistory, symbols: Sequence[str], horizon: int) -> Forecasts:
    """The forecasts, from whichever source. Raises `InvalidRequest` when none of the symbols is known."""
    known, unknown, told = await source.closes(symbols, max(LOOKBACK, SHOWN))
    usable = [series for series in known if len(series.closes) >= 3]
    if not usable:
        raise InvalidRequest(f"No prices are known for {', '.join(symbols)}.", hint="Use symbols such as AAPL or SAP.")
    return Forecasts(
        forecasts=[forecast(series, horizon) for series in usable],
        unknown=unknown,
        horizon_days=horizon,
        as_of=max(series.last_day for series in usable),
        source=told,
    )


def forecast(series: Series, horizon: int) -> Forecast:
    """The trend of one security, by the method named in `METHOD`."""
    closes = list(series.closes)[-LOOKBACK:]
    slope, spread = trend_of(closes)
    ahead = [_at(closes[-1], slope, spread, day) for day in range(1, horizon + 1)]
    change = (math.exp(slope * horizon) - 1) * 100
    low, high = ahead[-1]
    return Forecast(
        symbol=series.symbol,
        name=series.name,
        last=_price(closes[-1]),
        currency=series.currency,
        change_pct=round(change, 2),
        trend="flat" if abs(change) < FLAT else "up" if change > 0 else "down",
        low=_price(low),
        high=_price(high),
        history=[round(close, 2) for close in list(series.closes)[-SHOWN:]],
        band=[(round(low, 2), round(high, 2)) for low, high in ahead],
        method=METHOD,
    )


def trend_of(closes: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line through the logarithms, and the deviation of daily changes around it."""
    logs = [math.log(close) for close in closes]
    middle, mean = (len(logs) - 1) / 2, sum(logs) / len(logs)
    slope = sum((day - middle) * (log - mean) for day, log in enumerate(logs)) / sum(
        (day - middle) ** 2 for day in range(len(logs))
    )
    changes = [after - before - slope for before, after in pairwise(logs)]
    return slope, math.sqrt(sum(change**2 for change in changes) / len(changes))


def _at(last: float, slope: float, spread: float, day: int) -> tuple[float, float]:
    width = spread * math.sqrt(day)
    return last * math.exp(slope * day - width), last * math.exp(slope * day + width)


def _series(one: Json) -> Series:
    closes = one["closes"]
    values = [float(close["close"]) for close in closes]
    return Series(one["symbol"], one["name"], one["currency"], values, closes[-1]["day"] if closes else "")


def _price(value: float) -> str:
    return str(Decimal(value).quantize(Decimal("0.01")))


def app(workload: Workload) -> ASGIApp:
    """The agent, for the network's launcher."""
    return market_data.app(workload)
