"""The securities of the samples, written down once: custody values holdings at the price that quotes reports.

Real names, invented prices: none of this is market data.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

AS_OF = date(2026, 11, 24)
"""The last trading day that the samples know."""

LABEL = "sample data, invented: not market prices"


@dataclass(frozen=True, slots=True)
class Security:
    """A listed security with its invented last price, and how the sample generator moves it (per year)."""

    symbol: str
    name: str
    price: Decimal
    currency: str
    drift: float
    volatility: float


SECURITIES: dict[str, Security] = {
    each.symbol: each
    for each in (
        Security("AAPL", "Apple Inc.", Decimal("262.40"), "USD", 0.14, 0.24),
        Security("MSFT", "Microsoft Corporation", Decimal("508.15"), "USD", 0.11, 0.20),
        Security("NVDA", "NVIDIA Corporation", Decimal("181.70"), "USD", 0.28, 0.42),
        Security("GOOGL", "Alphabet Inc. Class A", Decimal("243.95"), "USD", 0.12, 0.26),
        Security("AMZN", "Amazon.com, Inc.", Decimal("228.60"), "USD", 0.09, 0.28),
        Security("JPM", "JPMorgan Chase & Co.", Decimal("301.20"), "USD", 0.08, 0.19),
        Security("SAP", "SAP SE", Decimal("238.10"), "EUR", 0.10, 0.22),
        Security("ASML", "ASML Holding N.V.", Decimal("842.30"), "EUR", 0.05, 0.33),
        Security("SIE", "Siemens AG", Decimal("229.85"), "EUR", 0.06, 0.21),
        Security("AIR", "Airbus SE", Decimal("206.45"), "EUR", 0.13, 0.25),
        Security("NESN", "Nestlé S.A.", Decimal("79.62"), "CHF", -0.06, 0.15),
        Security("SHEL", "Shell plc", Decimal("27.34"), "GBP", 0.02, 0.23),
    )
}
