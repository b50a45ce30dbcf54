"""stead.demo."""
