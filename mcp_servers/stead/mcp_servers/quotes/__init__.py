"""FinPort's market data: quotes and daily history, from a provider that can be replaced."""
