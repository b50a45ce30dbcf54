"""Whose authority a call carries, as frozen values.

Knows nothing of HTTP, of files, or of how a token is checked.
"""

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidToken

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

MAX_ACTORS = 5
MAX_NAME = 255


class Grant(StrEnum):
    """By what right a hop is made. One word and one colour everywhere: page, terminal, picture, export."""

    LOGIN = "login"
    OBO = "obo"
    S2S = "s2s"
    IN_TASK = "in-task"


class Secret:
    """A credential that cannot be printed, pickled or compared by accident. `reveal()` is the one way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The credential itself. Call it only where it goes onto the wire or into the vault."""
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} is not pickled: keep a handle")


class AccessToken(Secret):
    """An access token (RFC 6749 s1.4)."""

    __slots__ = ("_digest",)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: what a cache knows it by."""
        try:
            return self._digest
        except AttributeError:
            self._digest: bytes = hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).digest()
            return self._digest


class BoundToken(AccessToken):
    """An access token that is good only with proof of a key, and that key of ours (RFC 9449)."""

    __slots__ = ("key",)

    def __init__(self, text: str, key: "ECKey") -> None:
        super().__init__(text)
        self.key = key


class RefreshToken(Secret):
    """A refresh token (RFC 6749 s1.5)."""

    __slots__ = ()


def is_name(value: object) -> bool:
    """Something that records and terminals can show: bounded, and without a sign that moves what stands around it."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts (RFC 8693 s4.1). The outermost is the current actor; those within are history, for audit only."""

    subject: str
    issuer: str | None = None
    prior: "Actor | None" = None

    @classmethod
    def from_claim(cls, claim: object, depth: int = 1) -> "Actor":
        """Reads an `act` claim. Raises `InvalidToken` when it is not one, or nests deeper than five."""
        if depth > MAX_ACTORS:
            raise InvalidToken(f"The actor chain is longer than {MAX_ACTORS}.")
        if not isinstance(claim, Mapping) or not is_name(claim.get("sub")):
            raise InvalidToken("The act claim names no actor.")
        issuer = claim.get("iss")
        if issuer is not None and not is_name(issuer):
            raise InvalidToken("The act claim's issuer is no name.")
        prior = claim.get("act")
        return cls(claim["sub"], issuer, None if prior is None else cls.from_claim(prior, depth + 1))

    def as_claim(self) -> dict[str, Any]:
        """The RFC 8693 object, nested."""
        claim: dict[str, Any] = {"sub": self.subject}
        if self.issuer is not None:
            claim["iss"] = self.issuer
        return claim if self.prior is None else {**claim, "act": self.prior.as_claim()}

    def chain(self) -> tuple[str, ...]:
        """The subjects, current actor first."""
        return (self.subject, *(self.prior.chain() if self.prior else ()))


Provenance = Literal["token", "asserted", "receipts", "shortened"]
"""How the chain of actors is known: from the token; only from whom it was issued to; from receipts; or cut short."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified bearer of a call: a person (perhaps through actors), or a workload as itself.

    `confirmation` is the key that the token is bound to, and that its bearer proved to have; `claims` are all verified
    claims; `token` is the one the call came with, kept only for exchanging it, and is None
    where the principal was restored without one. `receipts` are the hop receipts that prove its chain, newest first;
    `names` are what this network calls clients to which their issuer gave names of its own.
    """

    issuer: str
    subject: str
    audience: str
    client_id: str
    scopes: frozenset[str] = field(hash=False)
    jti: str
    expires_at: int
    grant: Grant
    actor: Actor | None = field(default=None, hash=False)
    chain_from: Provenance = "token"
    txn: str | None = None
    confirmation: Confirmation | None = field(default=None, hash=False)
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)
    token: AccessToken | None = field(default=None, repr=False, compare=False)
    receipts: tuple[str, ...] = field(default=(), repr=False, compare=False)
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)

    def through(self, actor: Actor, known_from: Provenance, receipts: tuple[str, ...]) -> "Principal":
        """The same person, called for by this chain of actors."""
        return replace(self, actor=actor, chain_from=known_from, receipts=receipts)

    def named(self, client_id: str) -> str:
        """What this network calls a client of the issuer."""
        return self.names.get(client_id, client_id)

    @property
    def is_service(self) -> bool:
        """True for a workload acting as itself, for no person."""
        return self.grant is Grant.S2S

    @property
    def bound(self) -> bool:
        """Whether its bearer proved to have the key that the token is bound to: a stolen one is not here."""
        return self.confirmation is not None

    @property
    def owner(self) -> str:
        """The key under which this principal owns tasks: issuer and subject, never the bare user name."""
        return f"{self.issuer}|{self.subject}"

    @property
    def chain(self) -> tuple[str, ...]:
        """The actors, current first; empty when the person (or workload) calls by itself."""
        return () if self.actor is None else self.actor.chain()

    @property
    def name(self) -> str:
        """What to call the person."""
        return str(self.claims.get("name", self.subject))

    # The three members that Starlette and the SDKs look for in scope["user"].
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return self.owner

    @property
    def identity(self) -> str:
        return self.owner


@dataclass(frozen=True, slots=True)
class Arrival:
    """The hop by which the current call came in: what its own outgoing hops name as their parent.

    `hop` is 16 lower-case hex digits (also the W3C span id), `trace` 32.
    """

    hop: str
    trace: str
    jti: str | None


_principal: ContextVar[Principal | None] = ContextVar("stead_principal", default=None)
_arrival: ContextVar[Arrival | None] = ContextVar("stead_arrival", default=None)


def current_principal() -> Principal:
    """Who is calling. Raises `InvalidToken` outside an authenticated call: unknown means nobody."""
    principal = _principal.get()
    if principal is None:
        raise InvalidToken("Nobody is signed in to this call.")
    return principal


def current_arrival() -> Arrival | None:
    """The hop that brought the current call, if one did."""
    return _arrival.get()


class acting_for:  # noqa: N801 - read as a word after `with`; a generator costs three times as much on every call
    """Makes `principal` and `arrival` current: ingress does it for a request, a durable workflow when it wakes."""

    __slots__ = ("_arrival", "_principal", "_restore")

    def __init__(self, principal: Principal | None, arrival: Arrival | None) -> None:
        self._principal = principal
        self._arrival = arrival

    def __enter__(self) -> None:
        self._restore: tuple[Token[Principal | None], Token[Arrival | None]] = (
            _principal.set(self._principal),
            _arrival.set(self._arrival),
        )

    def __exit__(self, *_: object) -> None:
        _principal.reset(self._restore[0])
        _arrival.reset(self._restore[1])
