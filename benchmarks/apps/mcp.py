"""An MCP server of the kit."""

from benchmarks.apps import SCOPE
from stead.identity.types import ASGIApp
from stead.identity.values import Grant
from stead.identity.workload import Workload
from stead.mcp_servers.kit import Server


def app(workload: Workload) -> ASGIApp:
    """An MCP server with one tool, which answers with what it was told."""
    server = Server("echo", "Says it again.")

    @server.tool(grant=Grant.OBO, scopes=(SCOPE,))
    async def say(text: str) -> str:
        """Says it again."""
        return text

    return server.app(workload)
