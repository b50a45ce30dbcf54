"""The FinPort network as processes: what it consists of, where it listens, how it starts and stops."""
