"""Who may ask this server for anything: clients, with their keys, redirect addresses and grants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import KeySet
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from stead.identity.server import schema
from stead.identity.server.store import Store

CODE = "authorization_code"
REFRESH = "refresh_token"
SERVICE = "client_credentials"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_BY_ID = select(schema.clients).where(schema.clients.c.client_id == bindparam("client_id"))
_BY_KEY = select(schema.clients).where(schema.clients.c.thumbprint == bindparam("thumbprint"))
_LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A registered client. Without `jwks` it is public: no secret, PKCE only."""

    client_id: str
    name: str
    jwks: str | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()
    first_party: bool = True
    pushed_only: bool = False

    @property
    def public(self) -> bool:
        return self.jwks is None

    @property
    def keys(self) -> KeySet:
        """The public keys that its assertions are checked with."""
        return _imported(self.jwks or '{"keys":[]}')

    # What Authlib asks (RFC 6749 s2).
    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        return None  # the redirect_uri is always required

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(dict.fromkeys((scope or "").split()))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact match; for public clients any port of a registered loopback address (RFC 8252 s7.3)."""
        if redirect_uri in self.redirect_uris:
            return True
        return self.public and any(_same_loopback(one, redirect_uri) for one in self.redirect_uris)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """By certificate is for those of whom the settings say so; nobody else gets as far as this by it."""
        return method in ("none" if self.public else "private_key_jwt", "tls_client_auth")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and CODE in self.grants

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grants


def find_client(store: Store, client_id: str) -> Client | None:
    """The client of that id, or None."""
    return _client(store.row(_BY_ID, {"client_id": client_id}))


def find_client_by_key(store: Store, thumbprint: str) -> Client | None:
    """The client that registered with that key."""
    return _client(store.row(_BY_KEY, {"thumbprint": thumbprint}))


def keep_client(store: Store, client: Client, now: float) -> None:
    """Writes the client down, over an older version of itself."""
    row = _row(client, now)
    store.run(insert(schema.clients).values(row).on_conflict_do_update(index_elements=["client_id"], set_=row))


def add_client(store: Store, client: Client, now: float) -> bool:
    """Writes a new client down. False where its name is taken, perhaps a moment ago by another process."""
    return store.run(insert(schema.clients).values(_row(client, now)).on_conflict_do_nothing()) == 1


def _row(client: Client, now: float) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "jwks": client.jwks,
        "thumbprint": None if client.jwks is None else client.keys.keys[0].thumbprint(),
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "grants": list(client.grants),
        "details_types": list(client.details_types),
        "first_party": client.first_party,
        "pushed_only": client.pushed_only,
        "created": now,
    }


def _client(row: Mapping[str, Any] | None) -> Client | None:
    if row is None:
        return None
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        jwks=row["jwks"],
        redirect_uris=tuple(row["redirect_uris"]),
        post_logout_redirect_uris=tuple(row["post_logout_redirect_uris"]),
        grants=tuple(row["grants"]),
        details_types=tuple(row["details_types"]),
        first_party=row["first_party"],
        pushed_only=row["pushed_only"],
    )


@lru_cache(maxsize=1024)
def _imported(jwks: str) -> KeySet:
    return KeySet.import_key_set(json.loads(jwks))


def _same_loopback(registered: str, requested: str) -> bool:
    try:
        ours, theirs = urlsplit(registered), urlsplit(requested)
        theirs.port  # noqa: B018  (raises ValueError for a port that is none)
    except ValueError:
        return False
    return _loopback_host(ours) is not None and _without_port(ours) == _without_port(theirs)


def _without_port(url: SplitResult) -> tuple[str, str | None, str, str, str, bool]:
    return url.scheme, _loopback_host(url), url.path, url.query, url.fragment, "@" in url.netloc


def _loopback_host(url: SplitResult) -> str | None:
    """The host exactly as written, when it is a loopback one without user information."""
    host = url.netloc.rpartition(":")[0] if url.port is not None else url.netloc
    return host if url.scheme == "http" and host in _LOOPBACK else None
