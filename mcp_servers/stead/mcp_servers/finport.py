"""FinPort's MCP servers by name: what the launcher and `stead serve mcp NAME` serve."""

from collections.abc import Callable, Mapping

from stead.identity.types import ASGIApp
from stead.identity.workload import Workload
from stead.mcp_servers.holdings.server import holdings_app
from stead.mcp_servers.payments.server import payments_app
from stead.mcp_servers.quotes.server import quotes_app

MCP_SERVERS: Mapping[str, Callable[[Workload], ASGIApp]] = {
    "holdings": holdings_app,
    "quotes": quotes_app,
    "payments": payments_app,
}
