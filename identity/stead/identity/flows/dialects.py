"""How an issuer is asked for the next hop's token: one question, in the words that each kind of issuer understands.

`id-jag` is for a service in another domain: two servers are asked, ours for a grant and theirs for the token. Where no
`act` comes back (`entra`, Keycloak, Okta), whoever was authenticated is the actor, which is asserted only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from stead.identity.flows import client_credentials, entra, id_jag, refresh, token_exchange
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import TargetBy, TokenSet
from stead.identity.types import Flow
from stead.identity.values import AccessToken, RefreshToken

Dialect = Literal["rfc8693", "entra", "id-jag"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose token, for whom, with what. `audience` and `scopes` are as the issuer calls them.

    `subject_token` is absent for a service's own token; `txn` is for issuers that bind tokens to one task; `there` is
    the other domain, for `id-jag`, while `client` and `metadata` are ours at home. A service as itself needs nobody's
    grant: it asks over there alone.
    """

    client: ClientIdentity
    metadata: Metadata
    audience: str
    scopes: tuple[str, ...]
    now: float
    subject_token: AccessToken | None = field(default=None, repr=False)
    txn: str | None = None
    target_by: TargetBy = "resource"
    there: id_jag.Domain | None = None


def on_behalf_of(dialect: Dialect, asked: Asked) -> Flow[TokenSet]:
    """A person's token for the next hop. Raises `ConsentRequired`, `StepUpRequired` or the `GrantRefused` family."""
    return _ON_BEHALF[dialect](asked)


def as_itself(dialect: Dialect, asked: Asked) -> Flow[TokenSet]:
    """A service's own token; of another domain it is the client there. Raises the `GrantRefused` family."""
    if dialect == "entra":
        return entra.as_itself(asked.client, asked.metadata, audience=asked.audience, now=asked.now)
    return client_credentials.s2s(
        asked.client,
        asked.metadata,
        audience=asked.audience,
        scopes=asked.scopes,
        now=asked.now,
        target_by=asked.target_by,
    )


def renewed(
    dialect: Dialect,
    client: ClientIdentity,
    metadata: Metadata,
    refresh_token: RefreshToken,
    *,
    now: float,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    target_by: TargetBy = "resource",
) -> Flow[TokenSet]:
    """A person's next tokens, for the service that `resource` names, or `scopes` do where the issuer has no other way.

    Raises the `GrantRefused` family.
    """
    if dialect == "entra":
        return entra.renew(client, metadata, refresh_token, scopes=scopes, now=now)
    return refresh.renew(
        client, metadata, refresh_token, now=now, resource=resource, scopes=scopes, target_by=target_by
    )


def _rfc8693(asked: Asked) -> Flow[TokenSet]:
    return token_exchange.obo(
        asked.client,
        asked.metadata,
        subject_token=_subject(asked),
        audience=asked.audience,
        scopes=asked.scopes,
        now=asked.now,
        txn=asked.txn,
        target_by=asked.target_by,
    )


def _entra(asked: Asked) -> Flow[TokenSet]:
    return entra.on_behalf_of(
        asked.client,
        asked.metadata,
        assertion=_subject(asked),
        audience=asked.audience,
        scopes=asked.scopes,
        now=asked.now,
    )


def _id_jag(asked: Asked) -> Flow[TokenSet]:
    if asked.there is None:
        raise ValueError("no other domain is asked")
    return id_jag.across(
        id_jag.Domain(asked.client, asked.metadata),
        asked.there,
        subject_token=_subject(asked),
        audience=asked.audience,
        scopes=asked.scopes,
        now=asked.now,
    )


def _subject(asked: Asked) -> AccessToken:
    if asked.subject_token is None:
        raise ValueError("nobody's token is exchanged")
    return asked.subject_token


_ON_BEHALF: Mapping[Dialect, Callable[[Asked], Flow[TokenSet]]] = MappingProxyType(
    {"rfc8693": _rfc8693, "entra": _entra, "id-jag": _id_jag}
)
