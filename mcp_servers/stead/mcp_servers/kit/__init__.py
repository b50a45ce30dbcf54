"""The kit for MCP servers whose every call has an identity.

```python
server = Server("holdings", "What a customer holds in custody.")

@server.tool(grant=Grant.OBO, scopes=("holdings:read",))
async def list_holdings(user: Principal, symbols: list[str] | None = None) -> Holdings: ...
```
Type hints are the schema, `Principal` is injected and never an argument of the call, and the declaration is the policy.
"""

from stead.identity.values import Grant, Principal
from stead.mcp_servers.kit.database import Database
from stead.mcp_servers.kit.server import Server
from stead.mcp_servers.kit.tools import Check, Declaration

__all__ = ["Check", "Database", "Declaration", "Grant", "Principal", "Server"]
