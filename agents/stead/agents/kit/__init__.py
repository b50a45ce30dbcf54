"""An agent of typed functions: `Agent`, its `skill` decorator, and what is injected into skills."""

from stead.agents.kit.agent import Agent
from stead.agents.kit.ask import Ask, Consent
from stead.agents.kit.errors import Canceled, Declined, Expired
from stead.agents.kit.mcp_client import McpClient
from stead.identity.challenge import PinnedOperation, Provider
from stead.identity.values import Grant, Principal

__all__ = [
    "Agent",
    "Ask",
    "Canceled",
    "Consent",
    "Declined",
    "Expired",
    "Grant",
    "McpClient",
    "PinnedOperation",
    "Principal",
    "Provider",
]
