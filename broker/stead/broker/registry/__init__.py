"""The registry of agents and MCP servers."""

from stead.broker.registry.catalogue import Catalogue
from stead.broker.registry.entries import Entry, Skill, Status
from stead.broker.registry.registry import Registry

__all__ = ["Catalogue", "Entry", "Registry", "Skill", "Status"]
