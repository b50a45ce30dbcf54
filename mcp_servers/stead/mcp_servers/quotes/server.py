"""The quotes server: a service among services. It takes no person's token, so there is no person it could remember."""

from collections.abc import Container, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stead.identity.types import ASGIApp
from stead.identity.values import Grant
from stead.identity.workload import Workload
from stead.mcp_servers.kit import Server
from stead.mcp_servers.quotes.provider import Bar, Listing, QuoteProvider
from stead.mcp_servers.quotes.sample import TRADING_DAYS, SampleProvider

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,12}$", description="A ticker symbol, such as AAPL.")]
Symbols = Annotated[list[Symbol], Field(min_length=1, max_length=20)]
Days = Annotated[int, Field(ge=2, le=TRADING_DAYS, description="How many trading days back.")]


class _Answer(BaseModel):
    """What every answer says of itself: whose data, and which symbols the source does not know."""

    model_config = ConfigDict(frozen=True)

    source: str
    unknown: list[str]


class Quote(BaseModel):
    """The last close of one security, and its change since the close before."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    name: str
    price: Decimal
    currency: str
    change_pct: float
    as_of: date


class Quotes(_Answer):
    """Last closes."""

    quotes: list[Quote]


class Close(BaseModel):
    """One day's close."""

    model_config = ConfigDict(frozen=True)

    day: date
    close: Decimal


class Series(BaseModel):
    """The closes of one security, oldest first."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    name: str
    currency: str
    closes: list[Close]


class Histories(_Answer):
    """Daily closes."""

    series: list[Series]


def quotes_server(provider: QuoteProvider) -> Server:
    """The server over `provider`."""
    server = Server(
        "quotes", "Last prices and daily history of listed securities. For services; takes no person's token."
    )

    @server.tool(grant=Grant.S2S, scopes=("quotes:read",))
    async def get_quotes(symbols: Symbols) -> Quotes:
        """The last close of each symbol, and its change in percent since the close before."""
        known = await _known(provider, symbols)
        quotes = [_quote(listing, await provider.bars(listing.symbol, 2)) for listing in known.values()]
        return Quotes(source=provider.source, unknown=_unknown(symbols, known), quotes=quotes)

    @server.tool(grant=Grant.S2S, scopes=("quotes:read",))
    async def get_history(symbols: Symbols, days: Days = 90) -> Histories:
        """The daily closes of each symbol over the last trading days, oldest first."""
        known = await _known(provider, symbols)
        series = [_series(listing, await provider.bars(listing.symbol, days)) for listing in known.values()]
        return Histories(source=provider.source, unknown=_unknown(symbols, known), series=series)

    return server


async def _known(provider: QuoteProvider, symbols: Sequence[str]) -> Mapping[str, Listing]:
    """The listings, in the order asked."""
    listings = await provider.listings(symbols)
    return {symbol: listings[symbol] for symbol in symbols if symbol in listings}


def _unknown(symbols: Sequence[str], known: Container[str]) -> list[str]:
    return [symbol for symbol in dict.fromkeys(symbols) if symbol not in known]


def _quote(listing: Listing, bars: Sequence[Bar]) -> Quote:
    last, before = bars[-1], bars[0]
    return Quote(
        symbol=listing.symbol,
        name=listing.name,
        price=last.close,
        currency=listing.currency,
        change_pct=round(float(last.close / before.close - 1) * 100, 2),
        as_of=last.day,
    )


def _series(listing: Listing, bars: Sequence[Bar]) -> Series:
    closes = [Close(day=bar.day, close=bar.close) for bar in bars]
    return Series(symbol=listing.symbol, name=listing.name, currency=listing.currency, closes=closes)


def quotes_app(workload: Workload) -> ASGIApp:
    """The server over the sample provider, for the network's launcher."""
    return quotes_server(SampleProvider(workload.home.database(workload.name))).app(workload)
