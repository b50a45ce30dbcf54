"""stead.identity."""
