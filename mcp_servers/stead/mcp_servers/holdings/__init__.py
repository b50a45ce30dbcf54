"""FinPort's custody: what each customer holds."""
