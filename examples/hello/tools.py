"""An MCP server in one file: it joins the running network with an identity of its own. Start it: `python tools.py`."""

from decimal import Decimal
from typing import Literal

from stead.mcp_servers.kit import Grant, Server

server = Server("fx", "Converts amounts between currencies, at fixed sample rates.")
Currency = Literal["EUR", "USD", "GBP", "CHF"]
PER_EURO = {"EUR": Decimal(1), "USD": Decimal("1.16"), "GBP": Decimal("0.88"), "CHF": Decimal("0.93")}


@server.tool(grant=Grant.S2S, scopes=("fx:read",), examples=["convert 100 EUR to USD"])
async def convert(amount: Decimal, source: Currency, target: Currency) -> Decimal:
    """Converts an amount of money from one currency to another."""
    return round(amount / PER_EURO[source] * PER_EURO[target], 2)


if __name__ == "__main__":
    server.serve()
