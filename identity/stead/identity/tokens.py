"""The token that a hop needs, by the right it goes by. Knows who calls and who we are; nothing of requests."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
from joserfc.jwk import ECKey

from stead.identity.addresses import is_confidential
from stead.identity.binding import Binding, is_wanted
from stead.identity.certificate_source import CertificateSource
from stead.identity.clock import Clock, system_clock
from stead.identity.confirmation import Confirmation
from stead.identity.driver import TIMEOUT, drive
from stead.identity.egress import Target
from stead.identity.errors import (
    AccessDenied,
    ConfigurationError,
    IdentityError,
    InvalidGrant,
    InvalidToken,
    OutOfScope,
    ProviderUnavailable,
)
from stead.identity.exchange import ExchangeKey, Exchanges
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.dialects import Asked, as_itself, on_behalf_of
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.id_jag import Domain
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.wire import TokenSet, host
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.peek import peek_claims
from stead.identity.providers import Providers
from stead.identity.reading import build_principal
from stead.identity.types import Flow, Json
from stead.identity.values import AccessToken, Actor, Grant, Principal

PATIENCE = 2.0
"""Seconds that a token endpoint may refuse connections: it is restarting."""


class Tokens:
    """Where one workload's tokens come from: its issuer, through a cache that keeps every party apart."""

    def __init__(
        self,
        client: ClientIdentity,
        providers: Providers,
        bare: httpx.AsyncClient,
        *,
        clock: Clock = system_clock,
        timeout: float = TIMEOUT,
        proof_key: ECKey | None = None,
        certificate: CertificateSource | None = None,
        binding: Binding = "effects",
        issuer: IssuerSettings | None = None,
        plain_http: bool = False,
        revoked: Callable[[Principal], bool] = lambda _: False,
    ) -> None:
        self.client = client
        self.exchanges = Exchanges(clock)
        self._providers = providers
        self._bare = bare
        self._clock = clock
        self._timeout = timeout
        self._proof_key = proof_key
        self._certificate = certificate
        self._binding = binding
        self._issuer = issuer or IssuerSettings(issuer=client.issuer)
        self._plain_http = plain_http
        self._revoked = revoked
        self._domains: dict[str, tuple[IssuerSettings, ClientIdentity]] = {}

    @property
    def issuer(self) -> IssuerSettings:
        """How the tokens that are obtained read."""
        return self._issuer

    def reach(self, resource: str, issuer: IssuerSettings, client: ClientIdentity) -> None:
        """From now on tokens for `resource` come from another domain, where we are `client`."""
        self._domains[resource] = (issuer, client)

    async def obtain(self, target: Target, principal: Principal | None) -> AccessToken:
        """The token for `target`. Raises the `GrantRefused` family, in words that name who was refused what.

        `principal` is the caller in whose stead an OBO hop goes; no other grant looks at it.
        """
        for url in (target.audience, self.client.issuer):
            self._require_confidential(url)
        if target.credential is not None:
            return _own_credential(target, target.credential)
        if target.grant is Grant.S2S:
            return await self._s2s(target)
        if target.grant is Grant.OBO:
            return await self._obo(target, _person(principal))
        raise ConfigurationError(f"A hop by {target.grant} needs the credential it goes by.")

    def _require_confidential(self, url: str) -> None:
        """Before anybody is asked for a token: one that travels in the clear is everybody's (RFC 6750 s5.3)."""
        if not self._plain_http and not is_confidential(url):
            raise AccessDenied(
                f"No token is sent to {host(url)} over plain http.",
                hint="Serve it by https, or set plain_http where the network itself encrypts.",
            )

    async def _s2s(self, target: Target) -> AccessToken:
        client = self._proving(self.known_as(target), target)
        self._require_confidential(client.issuer)
        key = ExchangeKey(
            client.issuer,
            client.client_id,
            None,
            target.audience,
            frozenset(target.scopes),
            cnf=self._bound_to(client),
        )

        async def request(metadata: Metadata) -> TokenSet:
            flow = as_itself(self._spoken(target).dialect, self._asked(target, client, metadata))
            return await self._driven(flow, client)

        return await self._held(key, request, target, client.client_id)

    async def _obo(self, target: Target, principal: Principal) -> AccessToken:
        subject_token = _subject_token(principal)
        if self._revoked(principal):
            # Its issuer may not have said so to whoever exchanges it, and would give a token that is new.
            raise InvalidGrant(f"The sign-in of {principal.name} has ended.", hint="Sign in again.")
        client = self._proving(self.client, target, principal)
        key = self._key(target, principal, client)

        async def request(metadata: Metadata) -> TokenSet:
            txn = target.txn if principal.txn is None else None
            there = await self._there(target, client)
            asked = self._asked(target, client, metadata)
            asked = replace(asked, subject_token=subject_token, txn=txn, there=there)
            flow = on_behalf_of(self._spoken(target).dialect, asked)
            try:
                return await self._driven(flow, client)
            except InvalidGrant as refused:
                raise self._for_good(refused, principal) from None

        return await self._held(key, request, target, principal.name)

    def _asked(self, target: Target, client: ClientIdentity, metadata: Metadata) -> Asked:
        """The question, in the issuer's own names."""
        issuer = self._spoken(target)
        names = issuer.scope_names
        return Asked(
            client,
            metadata,
            audience=issuer.audiences.get(target.audience, target.audience),
            scopes=tuple(names.get(scope, scope) for scope in target.scopes),
            now=self._clock(),
            target_by=issuer.target_by,
        )

    def _spoken(self, target: Target) -> IssuerSettings:
        """Whose names and dialect it is asked in: our own issuer's, unless the target lies in another domain."""
        return self._domains[target.audience][0] if target.audience in self._domains else self._issuer

    async def _there(self, target: Target, client: ClientIdentity) -> Domain | None:
        """The other domain, and ourselves as it knows us, with the key that `client` proves."""
        if target.audience not in self._domains:
            return None
        issuer, ours = self._domains[target.audience]
        self._require_confidential(issuer.issuer)
        metadata = await self._providers.metadata(issuer.issuer)
        return Domain(ours if client.proof_key is None else ours.proving(client.proof_key), metadata)

    def known_as(self, target: Target) -> ClientIdentity:
        """Ourselves, as the issuer of the target's tokens knows us."""
        return self._domains[target.audience][1] if target.audience in self._domains else self.client

    def _proving(self, client: ClientIdentity, target: Target, principal: Principal | None = None) -> ClientIdentity:
        """`client`, proving a key where the token has to be bound to it. What came in bound goes on bound."""
        came_bound = principal is not None and principal.confirmation is not None
        wanted = came_bound or is_wanted(self._binding, effects=target.effects)
        can = self._spoken(target).binds
        return client.proving(self._proof_key) if wanted and can and self._proof_key else client

    def _bound_to(self, client: ClientIdentity) -> str | None:
        """With a renewed certificate other tokens are needed: an issuer that saw the former one bound them to it."""
        if client.proof_key is not None:
            return client.proof_key.thumbprint()
        return None if self._certificate is None else self._certificate.current().thumbprint

    async def _driven(self, flow: Flow[TokenSet], client: ClientIdentity) -> TokenSet:
        proving = with_nonce(flow, self._clock)
        return await drive(proving, self._bare, timeout=self._timeout, patience=PATIENCE)

    def _for_good(self, refused: InvalidGrant, principal: Principal) -> IdentityError:
        """Signing in again renews our own issuer's tokens. One of another issuer that is not taken never will be."""
        if principal.issuer == self.client.issuer:
            return refused
        return AccessDenied(
            f"sign-ins at {host(principal.issuer)} give no right here.",
            hint="Sign in where the network's own provider vouches for you.",
            debug=refused.description,
        )

    def _key(self, target: Target, principal: Principal, client: ClientIdentity) -> ExchangeKey:
        claims = principal.claims
        if principal.txn is not None and target.txn not in (None, principal.txn):
            raise OutOfScope("The call belongs to another task than the one it would be continued for.")
        return ExchangeKey(
            issuer=self.client.issuer,
            owner=principal.owner,
            actor=principal.actor,
            audience=target.audience,
            scopes=frozenset(target.scopes),
            txn=principal.txn or target.txn,
            cnf=self._bound_to(client),
            login=(principal.client_id, *(_plain(claims.get(name)) for name in ("sid", "auth_time", "acr"))),
            given=principal.scopes,
        )

    async def _held(
        self, key: ExchangeKey, request: Callable[[Metadata], Awaitable[TokenSet]], target: Target, whose: str
    ) -> AccessToken:
        async def obtain() -> TokenSet:
            metadata = await self._providers.metadata(key.issuer)
            try:
                return await request(metadata)
            except ProviderUnavailable:
                raise
            except IdentityError as refused:
                raise _explained(refused, metadata, target, whose) from None

        return (await self.exchanges.get(key, obtain)).access_token


def _own_credential(target: Target, credential: AccessToken) -> AccessToken:
    if target.grant in (Grant.LOGIN, Grant.IN_TASK):
        return credential
    raise ConfigurationError(f"A hop by {target.grant} obtains its own token, and takes none.")


def _person(principal: Principal | None) -> Principal:
    """Whom an OBO hop acts for. It never falls back to a service."""
    if principal is None:
        raise InvalidToken("Nobody is signed in to this call.")
    if principal.is_service:
        raise AccessDenied("This call was made by a service, so there is no person to act for.")
    return principal


def _subject_token(principal: Principal) -> AccessToken:
    if principal.token is None:
        raise InvalidGrant(f"The sign-in of {principal.name} is not at hand any more.", hint="Sign in again.")
    return principal.token


def _explained(refused: IdentityError, metadata: Metadata, target: Target, whose: str) -> IdentityError:
    sender = refused.details.get("issuer", metadata.issuer)
    name = metadata.document.get("organization_name") if sender == metadata.issuer else None
    issuer = name if isinstance(name, str) and name.isprintable() and len(name) <= 64 else host(sender)
    description = f"{issuer} refused {' '.join(target.scopes) or target.audience} for {whose}: {refused.description}"
    return type(refused)(description, hint=refused.hint, debug=refused.debug, **refused.details)


def _plain(value: object) -> str | int | None:
    return value if isinstance(value, str | int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def recorded_claims(
    target: Target,
    principal: Principal | None,
    client: ClientIdentity,
    token: AccessToken,
    issuer: IssuerSettings,
) -> Json:
    """What the record of a hop says of its token: as its callee will read it, else as it was asked for."""
    said = peek_claims(token)
    texts = {name: said[name] for name in ("iss", "sub", "name", "aud", "scope", "jti") if _text(said.get(name))}
    expiry = said.get("exp")
    return {
        **asked_claims(target, principal, client),
        "act": _actors(said.get("act")),
        "cnf": _binding(said.get("cnf")),
        **texts,
        **_as_read(said, issuer, client, principal, target.audience),
        "exp": int(expiry) if isinstance(expiry, int | float) else None,
    }


def _as_read(
    said: Mapping[str, Any], issuer: IssuerSettings, client: ClientIdentity, caller: Principal | None, audience: str
) -> Json:
    """Who and through whom, by the claims that this issuer says it with; nothing where those are our own."""
    if issuer.preset == "stead" or said.get("iss") != issuer.issuer:
        return {}
    try:
        read = build_principal(said, issuer.trusted(), "", None)
    except (InvalidToken, KeyError, ValueError, TypeError):
        return {}
    actor = read.actor
    if actor is not None and read.chain_from == "asserted" and issuer.receipts != "off":
        actor = Actor(client.client_id, prior=None if caller is None else caller.actor)
    scope = " ".join(sorted(read.scopes))
    return {
        "sub": read.subject,
        "act": None if actor is None else actor.as_claim(),
        "scope": scope,
        "jti": read.jti,
        "aud": audience,
    }


def asked_claims(target: Target, principal: Principal | None, client: ClientIdentity) -> Json:
    """What is known of a token before there is one: for whom it was asked, and where."""
    asked: dict[str, Any] = {"aud": target.audience, "scope": " ".join(sorted(target.scopes))}
    if target.grant is Grant.S2S:
        return {**asked, "iss": client.issuer, "sub": client.client_id}
    if principal is None:
        return asked
    act = None if principal.actor is None else principal.actor.as_claim()
    return {**asked, "iss": principal.issuer, "sub": principal.subject, "name": principal.name, "act": act}


def _binding(claim: object) -> str | None:
    try:
        return None if claim is None else str(Confirmation.from_claim(claim))
    except InvalidToken:
        return None


def _actors(claim: object) -> Json | None:
    if claim is None:
        return None
    try:
        return Actor.from_claim(claim).as_claim()
    except InvalidToken:
        return None
