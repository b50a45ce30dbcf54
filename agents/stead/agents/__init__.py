"""stead.agents."""
