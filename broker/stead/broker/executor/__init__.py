"""Durable execution of plans."""
