"""FinPort's Transfer agent: it may ask the bank to move money, and moves none that the person did not approve there."""
