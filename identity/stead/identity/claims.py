"""Which claims a token can have: those that have a meaning everywhere, and those that settings name.

For policies: a rule that reads any other claim waits for something that never comes.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from stead.identity.trust import OWN_MEANING

PUBLISHED_CLAIMS = ("transfer_limit",)
"""What access tokens of the embedded issuers say of a person beyond name and roles, where the person has it."""

STANDARD = frozenset(
    # RFC 7519 s4.1, RFC 9068 s2.2, RFC 8693 s4, RFC 7800, RFC 9396 s9.1, OpenID Connect Core s2 and s5.1
    {*OWN_MEANING, "nbf", "acr", "amr", "auth_time", "azp", "sid", "name", "preferred_username", "email"}
    | {"email_verified", "roles", "groups", "entitlements"}
)


class Reads(Protocol):
    """How the tokens of an issuer are read, as far as it names claims; see `TrustedIssuer`."""

    @property
    def subject(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def scopes(self) -> str: ...
    @property
    def roles(self) -> str: ...
    @property
    def identifier(self) -> str: ...
    @property
    def claims(self) -> Mapping[str, str]: ...
    @property
    def required_claims(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def services(self) -> Mapping[str, str]: ...


def known_claims(issuers: Iterable[Reads], own: Iterable[str] = ()) -> frozenset[str]:
    """Every claim that a policy may read of the tokens of these issuers. `own` are those of the embedded issuers."""
    named = {*STANDARD, *PUBLISHED_CLAIMS, *own}
    for issuer in issuers:
        named |= {*issuer.claims, *issuer.required_claims, *issuer.services}
        places = (issuer.subject, issuer.client, issuer.scopes, issuer.roles, issuer.identifier)
        named |= {*places, *(place.partition(".")[0] for place in places)}
    return frozenset(named)
