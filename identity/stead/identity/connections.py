"""What a workload has while it runs and not before: its clients, its issuers' metadata, its tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import httpx
import httpx2
from joserfc.jwk import ECKey

from stead.identity.clock import Clock
from stead.identity.driver import bare_client
from stead.identity.egress import a2a_client, mcp_client
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.providers import Providers
from stead.identity.settings import Settings
from stead.identity.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Connections:
    """`http` and `http2` carry the open hop's identity; `bare` carries none."""

    bare: httpx.AsyncClient
    http: httpx.AsyncClient
    http2: httpx2.AsyncClient
    providers: Providers
    tokens: Tokens


@asynccontextmanager
async def connected(
    client: ClientIdentity,
    proof_key: ECKey,
    settings: Settings,
    clock: Clock,
    client_of: Callable[[str], ClientIdentity],
) -> AsyncIterator[Connections]:
    """Opens them all, and closes them again: first what is under way at the token endpoint, then the clients."""
    timeouts = settings.timeouts
    verify = None if settings.tls is None else settings.tls.files().client()
    async with (
        bare_client(timeouts.provider, verify) as bare,
        a2a_client(timeouts.connect, timeouts.read, verify) as http,
        mcp_client(timeouts.connect, timeouts.read, verify) as http2,
    ):
        providers = Providers(bare, clock, timeouts.provider)
        tokens = Tokens(
            client,
            providers,
            bare,
            clock=clock,
            timeout=timeouts.provider,
            proof_key=None if settings.binds_certificate else proof_key,
            binding=settings.dpop,
            issuer=settings.described(client.issuer),
            plain_http=settings.plain_http,
        )
        for resource, issuer in settings.domains.items():
            tokens.reach(resource, issuer, client_of(issuer.issuer))
        async with aclosing(tokens.exchanges):
            yield Connections(bare, http, http2, providers, tokens)
