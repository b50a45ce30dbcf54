"""What a workload has while it runs and not before: its clients, its issuers' metadata, its tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import httpx
import httpx2
from joserfc.jwk import ECKey

from stead.identity.certificate_source import CertificateSource
from stead.identity.clock import Clock
from stead.identity.driver import bare_client
from stead.identity.egress import a2a_client, mcp_client
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.providers import Providers
from stead.identity.renewing import Renewing
from stead.identity.settings import Settings
from stead.identity.tokens import Tokens
from stead.identity.values import Principal


@dataclass(frozen=True, slots=True)
class Connections:
    """`http` and `http2` carry the open hop's identity; `bare` carries none. All show `certificate`, if any."""

    bare: httpx.AsyncClient
    http: httpx.AsyncClient
    http2: httpx2.AsyncClient
    providers: Providers
    tokens: Tokens
    certificate: CertificateSource | None = None


@asynccontextmanager
async def connected(
    client: ClientIdentity,
    proof_key: ECKey,
    settings: Settings,
    clock: Clock,
    client_of: Callable[[str], ClientIdentity],
    *,
    name: str | None = None,
    revoked: Callable[[Principal], bool] = lambda _: False,
) -> AsyncIterator[Connections]:
    """Opens them all, and closes them again: first what is under way at the token endpoint, then the clients.

    `name` is the workload's, by which its certificate is found, where that is not its client id. In the stead of a
    principal that is `revoked` nothing is obtained.
    """
    timeouts = settings.timeouts
    source = None if settings.tls is None else CertificateSource(settings.tls.files(name or client.client_id))
    shown = None if source is None else Renewing(source, httpx.Limits())
    async with (
        bare_client(timeouts.provider, transport=shown) as bare,
        a2a_client(timeouts.connect, timeouts.read, source) as http,
        mcp_client(timeouts.connect, timeouts.read, source) as http2,
    ):
        providers = Providers(bare, clock, timeouts.provider)
        tokens = Tokens(
            client,
            providers,
            bare,
            clock=clock,
            timeout=timeouts.provider,
            proof_key=None if settings.binds_certificate else proof_key,
            certificate=source,
            binding=settings.dpop,
            issuer=settings.described(client.issuer),
            plain_http=settings.plain_http,
            revoked=revoked,
        )
        for resource, issuer in settings.domains.items():
            tokens.reach(resource, issuer, client_of(issuer.issuer))
        async with aclosing(tokens.exchanges):
            yield Connections(bare, http, http2, providers, tokens, source)
