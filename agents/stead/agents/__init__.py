"""stead.agents."""

from stead.identity.home import quiet_a2a

quiet_a2a()
