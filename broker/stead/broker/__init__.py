"""stead.broker."""
