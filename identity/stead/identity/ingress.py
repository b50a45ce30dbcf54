"""Who is calling, and may they? Stands between the edge guard and the app; plain ASGI.

Knows bearer tokens (RFC 6750), the trace header (W3C Trace Context) and where decisions are recorded. What a request
means is told by `describe`; whether it may happen, by policy.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from starlette.authentication import AuthCredentials

from stead.identity.binding import Binding, is_wanted
from stead.identity.chains import Chains
from stead.identity.decision_point import DecisionPoint
from stead.identity.errors import (
    BindingRequired,
    IdentityError,
    InsufficientScope,
    InvalidProof,
    InvalidRequest,
    InvalidToken,
    NonceRequired,
    ProviderUnavailable,
)
from stead.identity.policy import Decides, Decision, Outcome
from stead.identity.policy.explaining import Question
from stead.identity.presented import Presented, Scheme
from stead.identity.receipts import HEADER
from stead.identity.replies import Protocol as WireProtocol
from stead.identity.replies import ProtocolOf, body_of, challenge, protocol_of, reply
from stead.identity.signals.streams import Streams
from stead.identity.telemetry import NOTHING, OFF, Spanned, Telemetry
from stead.identity.telemetry.names import POLICY_SPAN
from stead.identity.tls import shown_certificate
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import AccessToken, Arrival, Principal, acting_for
from stead.identity.verification import MAX_TOKEN
from stead.identity.verifier import Verifier

STRANGERS_PER_MINUTE = 120
"""Refusals without a valid token that are recorded: enough to see an attack, too few to fill the disk."""

REMEMBERED_CREDENTIALS = 1024

_CREDENTIAL = re.compile(r"(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_SPOOFED = re.compile(
    rb"x-forwarded-.*|x-user.*|x-auth.*|x-remote.*|x-real-ip|forwarded|remote-user|client-cert.*|x-ssl-.*"
    # What gateways of others' making say of whom they let in, and where a request went before they rewrote it.
    rb"|x-client-cert.*|ssl-client-.*|x-ms-client-principal.*|x-amzn-oidc-.*|x-goog-.*|cf-access-.*|x-consumer-.*"
    rb"|x-webauth-.*|x-original-.*|x-rewrite-.*",
    re.DOTALL,
)
_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"dpop", HEADER.encode()})
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks to have done. One with effects is on record before it happens."""

    method: str
    resource: str
    input: Mapping[str, Any] = field(default_factory=dict, repr=False)
    effects: bool = False


Describe = Callable[[Scope, Json], Operation | None]
"""Tells the operation from the request and its parsed body ({} where there is none); None for polls and the like."""


class IngressJournal(Protocol):
    """Where ingress records its decisions."""

    def ingress(
        self,
        *,
        arrival: Arrival,
        principal: Principal,
        operation: str,
        resource: str,
        decision: str,
        rule: str | None = None,
        code: str | None = None,
        description: str | None = None,
        hint: str | None = None,
        consent_id: str | None = None,
    ) -> Any: ...

    def append(self, **values: Any) -> Any: ...

    async def durable(self, entry: Any, /) -> None: ...


class Ingress:
    """Lets in who bears a valid token and is allowed what they ask; makes them the current principal.

    The app sees `scope["user"]` (the principal) and `scope["auth"]`, and never the token. `public` tells which paths
    need no token, beside metadata and health; the app's own check is all that guards those. `binding` tells which calls
    are let in by a bound token only (RFC 9449), `beyond` who else has to allow them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        verifier: Verifier,
        journal: IngressJournal,
        policy: Decides,
        describe: Describe,
        audience: str,
        scopes: Iterable[str] = (),
        public: Callable[[Scope], bool] | None = None,
        protocol: WireProtocol | ProtocolOf = "http",
        binding: Binding = "effects",
        chains: Chains | None = None,
        beyond: DecisionPoint | None = None,
        clock: Callable[[], float] = time.time,
        telemetry: Callable[[], Telemetry] = lambda: OFF,
        streams: Streams | None = None,
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._verifier = verifier
        self._journal = journal
        self._policy = policy
        self._describe = describe
        self._audience = audience
        self._scopes = tuple(scopes)
        self._public = public
        self._protocol_of = protocol_of(protocol)
        self._binding = binding
        self._without_keys = frozenset(issuer.issuer for issuer in verifier.issuers if not issuer.binds)
        self._chains = chains
        self._beyond = beyond
        self._clock = clock
        self._streams = streams or Streams(lambda _: False)
        self._strangers = _Budget(STRANGERS_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        within = {**scope, "headers": _without_identity(scope["headers"])}
        if self._is_public(scope):
            with acting_for(None, None):
                await self._app(within, receive, send)
            return
        document: Json = scope.get("state", {}).get("stead.json") or {}
        try:
            principal, arrival, spanned = await self._admit(scope, document)
        except IdentityError as error:
            await self._refuse(scope, document, error, send)
            return
        within |= {"user": principal, "auth": AuthCredentials(sorted(principal.scopes))}
        with acting_for(principal, arrival), spanned:
            await self._streams.serve(principal, self._app, within, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in _OPEN_PATHS or (path.startswith("/.well-known/") and ".." not in path):
            return True
        return self._public is not None and self._public(scope)

    async def _admit(self, scope: Scope, document: Json) -> tuple[Principal, Arrival, Spanned]:
        try:
            principal = await self._verifier.verify(*credential(scope, self._audience))
            if self._chains is not None:
                principal = await self._chains.completed(principal, scope["headers"])
        except IdentityError as error:
            self._record_stranger(scope, document, error)
            raise
        arrival = arrival_of(scope["headers"], principal.jti)
        operation = self._describe(scope, document)
        if operation is None:
            if self._binding == "always" and not principal.bound:
                raise _unbound("This service")
            return principal, arrival, NOTHING
        telemetry = self._telemetry()
        spanned = telemetry.arrived(arrival, operation.method, operation.resource, principal)
        try:
            await self._authorize(principal, arrival, operation, telemetry, spanned)
        except IdentityError as refused:
            spanned.ended(refused)
            raise
        return principal, arrival, spanned

    async def _authorize(
        self, principal: Principal, arrival: Arrival, operation: Operation, telemetry: Telemetry, spanned: Spanned
    ) -> None:
        with telemetry.within(POLICY_SPAN, spanned) as deciding:
            decision = await self._decide(principal, operation)
            deciding.told(DECISION=decision.outcome, RULE=decision.rule, RESOURCE=operation.resource)
        spanned.told(DECISION=decision.outcome, RULE=decision.rule)
        refusal = decision.refusal() or self._unbound(principal, operation)
        entry = self._record(principal, arrival, operation, decision, refusal)
        if refusal is not None:
            raise refusal
        if operation.effects:
            await self._journal.durable(entry)

    async def _decide(self, principal: Principal, operation: Operation) -> Decision:
        asked = principal, operation.resource, operation.method, operation.input, self._clock()
        decision = self._policy.decide(*asked)
        if self._beyond is None:
            return decision
        return await self._beyond.narrowed(decision, Question(*asked), effects=operation.effects)

    def _unbound(self, principal: Principal, operation: Operation) -> IdentityError | None:
        """A token that whoever holds it could use does not move anything (RFC 9449 s1), if its issuer has another."""
        if principal.bound or not is_wanted(self._binding, effects=operation.effects):
            return None
        if principal.issuer in self._without_keys:
            return None
        return _unbound(operation.resource)

    def _record(
        self,
        principal: Principal,
        arrival: Arrival,
        operation: Operation,
        decision: Decision,
        refusal: IdentityError | None,
    ) -> Any:
        consent = principal.claims.get("consent_id")
        why = {}
        if refusal is not None:
            why = {"code": refusal.code, "description": refusal.description, "hint": refusal.hint}
        return self._journal.ingress(
            arrival=arrival,
            principal=principal,
            operation=operation.method,
            resource=operation.resource,
            decision=Outcome.DENY if decision.allowed and refusal is not None else decision.outcome,
            rule=decision.rule,
            consent_id=consent if isinstance(consent, str) else None,
            **why,
        )

    def _record_stranger(self, scope: Scope, document: Json, error: IdentityError) -> None:
        """Someone without a valid token asked for an operation: nobody knows who, but the record tells that it was."""
        operation = self._describe(scope, document)
        if operation is None or not self._strangers.spend():
            return
        arrival = arrival_of(scope["headers"], None)
        self._telemetry().arrived(arrival, operation.method, operation.resource).ended(error)
        self._journal.append(
            kind="ingress",
            hop=arrival.hop,
            trace=arrival.trace,
            operation=operation.method,
            resource=operation.resource,
            callee=self._audience,
            decision=Outcome.DENY.value,
            code=error.code,
            description=error.description,
            hint=error.hint,
        )

    async def _refuse(self, scope: Scope, document: Json, error: IdentityError, send: Send) -> None:
        headers = {}
        if error.status == 401 or isinstance(error, InsufficientScope | InvalidRequest):
            told = None if isinstance(error, NoToken) else error
            headers["www-authenticate"] = challenge(self._audience, self._scopes, told)
        if isinstance(error, NonceRequired):
            headers["dpop-nonce"] = str(error.details["nonce"])
        if isinstance(error, ProviderUnavailable):
            headers["retry-after"] = "1"
        body = body_of(error, self._protocol_of(scope), request_id=document.get("id"))
        await reply(send, error.status, body, headers)


class NoToken(InvalidToken):
    """The request came without any credential: it is told what is needed, and no error (RFC 6750 s3.1)."""


def credential(scope: Scope, audience: str) -> tuple[AccessToken, Presented | None]:
    """The one token of a request (RFC 6750 s2.1, RFC 9449 s7.1), and what it shows beside it, if anything.

    Raises `InvalidRequest`, `NoToken` or `InvalidToken`.
    """
    scheme, token = _authorization(scope)
    proof, certificate = _proof(scope["headers"]), shown_certificate(scope)
    if scheme == "bearer" and proof is None and certificate is None:
        return token, None
    path = scope.get("raw_path") or scope["path"].encode()
    return token, Presented(scheme, scope["method"], f"{_origin(audience)}{path.decode('latin-1')}", proof, certificate)


def _authorization(scope: Scope) -> tuple[Scheme, AccessToken]:
    query = scope.get("query_string", b"")
    if query and any(name == "access_token" for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)):
        # RFC 6750 s5.3: addresses are logged.
        raise InvalidRequest("A token in the address is not accepted.", hint="Send it in the Authorization header.")
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise NoToken("This needs an access token.", hint="Send one as Authorization: Bearer.")
    if len(values) > 1:
        raise InvalidRequest("The Authorization header is repeated.", hint="Send one.")
    if len(values[0]) > len("Bearer ") + MAX_TOKEN:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN} characters.")
    return read_credential(values[0])


@lru_cache(maxsize=REMEMBERED_CREDENTIALS)
def read_credential(authorization: bytes) -> tuple[Scheme, AccessToken]:
    """Remembered, because callers send the same token many times: reading it costs more than knowing it again."""
    match = _CREDENTIAL.fullmatch(authorization.decode("latin-1"))
    if match is None:
        raise InvalidToken("The Authorization header holds no bearer token.", hint="Send Authorization: Bearer TOKEN.")
    return "dpop" if match[1].lower() == "dpop" else "bearer", AccessToken(match[2])


def _proof(headers: Headers) -> str | None:
    values = [value for name, value in headers if name == b"dpop"]
    if len(values) > 1:
        raise InvalidProof("The DPoP header is repeated.", hint="Send one.")
    return values[0].decode("latin-1") if values else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def arrival_of(headers: Headers, jti: str | None) -> Arrival:
    """The hop by which a request came: as `traceparent` says, else one of its own, in a trace of its own."""
    values = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return Arrival(secrets.token_hex(8), secrets.token_hex(16), jti)
    return Arrival(match[2].decode(), match[1].decode(), jti)


def _without_identity(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers without the credential, and without those by which a caller could pretend to be a proxy."""
    return [pair for pair in headers if not _tells_identity(pair[0])]


@lru_cache(maxsize=256)
def _tells_identity(name: bytes) -> bool:
    """Remembered, because callers send the same few names on every request."""
    name = name.replace(b"_", b"-")  # to an app that is called as CGI is, both are one (RFC 3875 s4.1.18)
    return name in _CREDENTIALS or _SPOOFED.fullmatch(name) is not None


def _unbound(what: str) -> BindingRequired:
    return BindingRequired(
        f"{what} takes a token that is bound to its bearer's key.",
        hint="Ask for the token with a DPoP proof, and send one with it.",
    )


class _Budget:
    """So many a minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = per_minute
        self._since = time.monotonic()

    def spend(self) -> bool:
        now = time.monotonic()
        if now - self._since >= 60:
            self._left, self._since = self._per_minute, now
        self._left -= 1
        return self._left >= 0
