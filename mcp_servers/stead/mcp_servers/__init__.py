"""stead.mcp_servers."""
