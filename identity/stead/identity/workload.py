"""The one object that a process of the network holds: who it is, whom it trusts, how it calls, what it wrote down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import httpx
import httpx2
from joserfc.jwk import ECKey

from stead.identity.audit.journal import Journal
from stead.identity.audit.ship import Shipper
from stead.identity.chains import Chains
from stead.identity.clock import SKEW, Clock, system_clock
from stead.identity.confirmation import JKT, X5T
from stead.identity.connections import Connections, connected
from stead.identity.driver import drive, fetch
from stead.identity.egress import OpenHop, Target
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.wire import parse_json
from stead.identity.home import Home, Network
from stead.identity.hops import Hops
from stead.identity.nonces import Nonces
from stead.identity.peek import peek_claims
from stead.identity.providers import PATIENCE
from stead.identity.receipts import write_receipt
from stead.identity.replay import SharedReplays
from stead.identity.settings import Settings
from stead.identity.signals.follower import Follower
from stead.identity.signals.hearing import Hearing
from stead.identity.signals.notebook import Notebook
from stead.identity.signals.revoked import Revoked
from stead.identity.telemetry import OFF
from stead.identity.telemetry.sdk import telemetry
from stead.identity.types import ASGIApp, Flow, Json, Response, Scope, T
from stead.identity.values import AccessToken, BoundToken, Grant, Principal
from stead.identity.verifier import TrustedIssuer, Verifier

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from stead.identity.ingress import Describe
    from stead.identity.policy import Policy
    from stead.identity.replies import Protocol, ProtocolOf
    from stead.identity.workload_keys import WorkloadKeys

AUDIT_WRITE = "audit:write"
DRAIN = 2.0
"""Seconds that the end of a process waits for its audit to reach the collector; what remains goes at the next start."""
MAX_BODY = 262_144


class Workload:
    """Identity of one process: made by `open`, at work inside `async with` (which nests, and may be a lifespan).

    `name` is its client id at `issuer`, and `url` its origin: the audience of tokens for it.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None,
        home: Home,
        issuers: Sequence[TrustedIssuer],
        issuer: str,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.name = name
        self.home = home
        self.settings = settings
        self.issuer = issuer
        self.issuers = tuple(issuers)
        self.clock = clock
        self.journal = Journal(home.folder("audit"), name, clock, max_size=settings.audit.segment_bytes)
        self._url = url
        self.telemetry = OFF
        self._hops = Hops(self.journal, lambda: self._at_work.tokens, lambda: self.telemetry, self._receipt)
        self._connections: Connections | None = None
        self.hearing = Hearing(
            self._follower,
            self._forget_revoked,
            kept={each.issuer: each.max_lifetime + SKEW for each in settings.telling},
            open_notebook=lambda: Notebook(home.database("signed-out"), clock),
        )
        self._entered = 0
        self._stack = AsyncExitStack()

    @classmethod
    def open(
        cls,
        name: str,
        *,
        url: str | None = None,
        home: Home | None = None,
        issuers: Sequence[TrustedIssuer] | None = None,
        issuer: str | None = None,
        settings: Settings | None = None,
        clock: Clock = system_clock,
    ) -> Self:
        """A workload from the state directory, without any other I/O.

        Without `url` it is where the network's record has it; without `issuer` the settings decide, else it is the
        network's own provider, which is also trusted when no `issuers` are given. Raises `ConfigurationError`.
        """
        home = home or Home.current()
        settings = settings or Settings.load(home)
        chosen = issuer or settings.issuer or home.network.corporate_idp
        trusted = issuers or [each.trusted() for each in settings.accepted] or [settings.described(chosen).trusted()]
        url = url or _recorded_url(home, name)
        return cls(name, url=url, home=home, issuers=trusted, issuer=chosen, settings=settings, clock=clock)

    @property
    def url(self) -> str:
        """Its origin. Raises `ConfigurationError` for a workload that serves nothing."""
        if self._url is None:
            raise ConfigurationError(f"{self.name} has no address.", hint="Open the workload with its url.")
        return self._url

    @property
    def network(self) -> Network:
        """The network's record, with the bank that is set in place of its own."""
        network = self.home.network
        return replace(network, bank_idp=self.settings.bank or network.bank_idp)

    @cached_property
    def client(self) -> ClientIdentity:
        """Itself as its issuer's client: by private_key_jwt, or by its platform's token where the settings name one."""
        client, platform = self.client_of(self.issuer), self.settings.workload_token
        return client if platform is None else replace(client, key=None, asserting=platform.platform_token(self.issuer))

    def client_of(self, issuer: str) -> ClientIdentity:
        """Itself as a client of an issuer: by the same name and key, unless the settings say otherwise."""
        client = self.settings.described(issuer).client_named(self.name, self.home)
        return replace(client, mutual_tls=True) if self.settings.binds_certificate else client

    def proving_client_of(self, issuer: str) -> ClientIdentity:
        """The same, whose tokens are bound to `proof_key` unless the settings say otherwise."""
        client = self.client_of(issuer)
        without = self.settings.dpop == "off" or self.settings.binds_certificate
        return client if without else client.proving(self.proof_key)

    @cached_property
    def proof_key(self) -> ECKey:
        """The key that its bound tokens are bound to (RFC 9449), the same for all its replicas."""
        return self.home.key(f"{self.name}-proof")

    def bound(self, token: AccessToken) -> AccessToken:
        """A token that was bound to `proof_key`, taken out of the vault again; any other as it is."""
        confirmed = peek_claims(token).get("cnf")
        is_ours = isinstance(confirmed, Mapping) and confirmed.get(JKT) == self.proof_key.thumbprint()
        return BoundToken(token.reveal(), self.proof_key) if is_ours else token

    def can_show(self, token: AccessToken) -> bool:
        """Whether it still has the certificate that a kept token is bound to (RFC 8705): a renewed one is another."""
        confirmed, shown = peek_claims(token).get("cnf"), self._at_work.certificate
        wanted = confirmed.get(X5T) if isinstance(confirmed, Mapping) else None
        return wanted is None or (shown is not None and shown.current().thumbprint == wanted)

    @cached_property
    def verifier(self) -> Verifier:
        """Checks tokens for this workload."""
        return self.verifier_for(self.issuers)

    def chains_of(self, verifier: Verifier) -> Chains | None:
        """What completes chains by hop receipts; None where every issuer that is trusted keeps the chain itself."""
        if all(issuer.receipts == "off" for issuer in verifier.issuers):
            return None
        return Chains(verifier.issuers, self.url, self.fetch, self.clock)

    def verifier_for(self, issuers: Sequence[TrustedIssuer]) -> Verifier:
        """Checks tokens for this workload that come from other issuers than it trusts by default."""
        for issuer in issuers:
            self.hearing.follow(issuer.issuer)
        return Verifier(
            issuers,
            self.url,
            self.fetch,
            self.clock,
            replays=self._replays,
            nonces=self._nonces,
            revoked=self.hearing.is_revoked,
        )

    @cached_property
    def _replays(self) -> SharedReplays:
        return SharedReplays(self.home.database(f"{self.name}-proofs"), self.clock)

    @cached_property
    def workload_keys(self) -> "WorkloadKeys":
        """Other workloads' registered public keys, for checking what they signed."""
        from stead.identity.workload_keys import WorkloadKeys, kept, published, registered

        async def about_the_issuer() -> Mapping[str, Any]:
            return (await self.metadata()).document

        origins = published(lambda client_id: _recorded_url(self.home, client_id), self.fetch)
        return WorkloadKeys((registered(about_the_issuer, self.fetch), kept(self.home), origins), self.clock)

    @cached_property
    def _nonces(self) -> Nonces | None:
        secret = self.home.secret(f"{self.name}-nonces") if self.settings.dpop_nonce else None
        return None if secret is None else Nonces(secret, self.clock)

    async def fetch(self, url: str) -> bytes:
        """A public document. Raises `ProviderUnavailable`."""
        return await fetch(url, self.bare, timeout=self.settings.timeouts.provider)

    async def __aenter__(self) -> Self:
        if self._entered == 0:
            await self._start()
        self._entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._entered -= 1
        if self._entered == 0:
            try:
                await self._stack.aclose()
            finally:
                self._connections = None
                self.telemetry = OFF

    async def _start(self) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(self.journal.close)
            self.telemetry = stack.enter_context(telemetry(self.home, self.name, self.settings.telemetry))
            own = (self.client, self.proof_key, self.settings, self.clock)
            connecting = connected(*own, self.client_of, name=self.name, revoked=self.hearing.is_revoked)
            self._connections = await stack.enter_async_context(connecting)
            await stack.enter_async_context(self._shipping())
            await stack.enter_async_context(self.hearing.at_work())
            self._stack = stack.pop_all()

    def _follower(self, issuer: str, told: Callable[[str, Revoked], None]) -> Follower:
        return Follower(issuer, metadata=self.metadata, run=self.run, fetch=self.fetch, clock=self.clock, told=told)

    def _forget_revoked(self, issuer: str, revoked: Revoked) -> None:
        self._at_work.tokens.exchanges.forget_revoked(issuer, revoked.covers_login)

    def _receipt(self, target: Target, caller: Principal | None, token: AccessToken) -> str | None:
        """The receipts that go along where the issuer does not keep the chain itself."""
        if caller is None or target.grant is not Grant.OBO or self.settings.described(self.issuer).receipts == "off":
            return None
        key = self.home.key(self.name)
        sender, now = self.client.client_id, self.clock()
        return write_receipt(key, sender, caller, audience=target.audience, token=token, now=now)

    @property
    def is_at_work(self) -> bool:
        """Whether it can call anybody: inside `async with`, and not before or after."""
        return self._connections is not None

    @property
    def _at_work(self) -> Connections:
        if self._connections is None:
            raise ConfigurationError(f"The workload {self.name} is not at work yet.", hint="Use `async with`.")
        return self._connections

    @property
    def http(self) -> httpx.AsyncClient:
        """For the A2A SDK and for plain HTTP: every request carries the open hop's identity, or is not sent."""
        return self._at_work.http

    @property
    def http2(self) -> httpx2.AsyncClient:
        """The same for the MCP SDK."""
        return self._at_work.http2

    @property
    def bare(self) -> httpx.AsyncClient:
        """Without identity: for flows and public documents."""
        return self._at_work.bare

    def hop(
        self, target: Target, *, operation: str, resource: str, task: str | None = None, rule: str | None = None
    ) -> AbstractAsyncContextManager[OpenHop]:
        """One call that carries an operation: inside, requests of `http` and `http2` carry its token and mark.

        Entering obtains the token, by exchange of the current caller's where the grant is OBO, and journals the hop;
        before one with effects the record is on disk. Raises the `GrantRefused` family (journaled as a denied hop).
        Leaving journals how it ended. `task` is the root task, for who starts one; `rule` the policy rule that let it.
        """
        return self._hops.hop(target, operation=operation, resource=resource, task=task, rule=rule)

    def detail(self, target: Target) -> AbstractAsyncContextManager[OpenHop]:
        """A call that belongs to a hop already told: polls, subscriptions, lists. Identity, but no record."""
        return self._hops.detail(target)

    async def exchange(self, target: Target, principal: Principal | None) -> AccessToken:
        """The token for `target`, by OBO in the stead of `principal`. Raises the `GrantRefused` family."""
        return await self._at_work.tokens.obtain(target, principal)

    async def metadata(self, issuer: str | None = None) -> Metadata:
        """What an issuer (its own by default) says about itself. Only for issuers that are configured."""
        return await self._at_work.providers.metadata(issuer or self.issuer)

    async def run(self, flow: Flow[T]) -> T:
        """Performs a flow; an issuer that is just starting is waited for. Raises what the flow raises."""
        proving = with_nonce(flow, self.clock)
        return await drive(proving, self.bare, timeout=self.settings.timeouts.provider, patience=PATIENCE)

    def forget(self, owner: str) -> None:
        """Drops every token held for `owner` (see `Principal.owner`), as at logout."""
        self._at_work.tokens.exchanges.forget_owner(owner)

    def protect(
        self,
        app: ASGIApp,
        *,
        describe: "Describe",
        policy: "Policy",
        scopes: Sequence[str],
        protocol: "Protocol | ProtocolOf",
        public: Callable[[Scope], bool] | None = None,
        routes: Sequence["BaseRoute"] = (),
        max_body: int = MAX_BODY,
        issuers: Sequence[TrustedIssuer] | None = None,
        ready: Callable[[], bool | Awaitable[bool]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> ASGIApp:
        """The app behind guard and ingress, beside its metadata (RFC 9728, with `extra` members) and health.

        `routes` are pages that need no token; the lifespan enters this workload around the app's own. `issuers`
        replaces those trusted by default, `ready` adds to what /readyz asks. Raises `ConfigurationError`.
        """
        from stead.identity.front import front

        verifier = self.verifier if issuers is None else self.verifier_for(issuers)
        return front(
            self,
            app,
            verifier=verifier,
            describe=describe,
            policy=policy,
            scopes=scopes,
            protocol=protocol,
            public=public,
            routes=routes,
            max_body=max_body,
            ready=ready,
            extra=extra,
        )

    @asynccontextmanager
    async def _shipping(self) -> AsyncIterator[None]:
        network = _network(self.home)
        if network is None or not network.trail:
            yield
            return
        shipper = Shipper(self.journal, lambda batch: self._ship(network.trail, batch), key=self.home.key(self.name))
        shipping = asyncio.create_task(shipper.run(), name=f"audit of {self.name}")
        try:
            yield
        finally:
            shipping.cancel()
            with suppress(asyncio.CancelledError):
                await shipping
            await shipper.drain(DRAIN)

    async def _ship(self, trail: str, batch: Json) -> Json:
        async with self.detail(Target(trail, (AUDIT_WRITE,), Grant.S2S)):
            try:
                reply = await self.http.post(f"{trail}/events", json=batch, timeout=10)
            except httpx.HTTPError as failure:
                raise ProviderUnavailable("The collector does not answer.", debug=type(failure).__name__) from None
        if reply.status_code != 200:
            raise ProviderUnavailable(f"The collector answered with status {reply.status_code}.")
        return parse_json(Response(200, dict(reply.headers), reply.content), trail)


def _network(home: Home) -> Network | None:
    try:
        return home.network
    except ConfigurationError:
        return None


def _recorded_url(home: Home, name: str) -> str | None:
    """Where the network's record has the workload of this client id, if it has it."""
    network = _network(home)
    if network is None:
        return None
    return {"finport-web": network.web, **network.services}.get(name)
