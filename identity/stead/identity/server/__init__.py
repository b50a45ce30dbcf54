"""The embedded authorization server: one issuer as an ASGI app, for development."""

from stead.identity.server.app import authorization_server
from stead.identity.server.clients import ASSERTION, CODE, EXCHANGE, REFRESH, SERVICE
from stead.identity.server.domains import GrantIssuer, ResourceServer
from stead.identity.server.seeding import (
    WORKLOAD_GRANTS,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    seed,
)
from stead.identity.server.settings import ServerSettings, check_bind

__all__ = [
    "ASSERTION",
    "CODE",
    "EXCHANGE",
    "REFRESH",
    "SERVICE",
    "WORKLOAD_GRANTS",
    "GrantIssuer",
    "ResourceServer",
    "Seed",
    "SeedAudience",
    "SeedClient",
    "SeedEdge",
    "SeedPerson",
    "ServerSettings",
    "authorization_server",
    "check_bind",
    "seed",
]
