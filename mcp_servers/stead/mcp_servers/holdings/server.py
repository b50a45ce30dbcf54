"""The holdings server: one tool, which answers for whoever calls and can be asked about nobody else."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stead.identity.types import ASGIApp
from stead.identity.values import Grant, Principal
from stead.identity.workload import Workload
from stead.mcp_servers.holdings.positions import Custody, seeded
from stead.mcp_servers.kit import Server
from stead.mcp_servers.samples import AS_OF, LABEL

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,12}$", description="A ticker symbol, such as AAPL.")]
Symbols = Annotated[list[Symbol], Field(max_length=50)]


class Position(BaseModel):
    """One holding, at the custodian's last price for one unit."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    name: str
    quantity: Decimal
    price: Decimal
    currency: str


class Holdings(BaseModel):
    """What the caller holds."""

    model_config = ConfigDict(frozen=True)

    positions: list[Position]
    as_of: date
    source: str


def holdings_server(custody: Custody) -> Server:
    """The server over `custody`."""
    server = Server("holdings", "What the signed-in customer holds in custody, with the custodian's valuation.")

    @server.tool(grant=Grant.OBO, scopes=("holdings:read",))
    async def list_holdings(user: Principal, symbols: Symbols | None = None) -> Holdings:
        """The customer's positions with quantity and last price; all of them, or those with the given symbols."""
        rows = await custody.positions(user.issuer, user.subject)
        wanted = [row for row in rows if symbols is None or row["symbol"] in symbols]
        return Holdings(positions=[Position.model_validate(row) for row in wanted], as_of=AS_OF, source=LABEL)

    return server


def holdings_app(workload: Workload) -> ASGIApp:
    """The server with the sample customers, for the network's launcher."""
    custody = seeded(workload.home.database(workload.name), workload.issuer)
    return holdings_server(custody).app(workload)
