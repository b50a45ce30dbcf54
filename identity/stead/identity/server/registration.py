"""Dynamic client registration (RFC 7591), for holders of the initial access token from the state directory.

It gives a name and a key. What the client may ask for is added by a person (`admin`), not here.
"""

import hmac
import json
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stead.identity.addresses import Reach, reach_of
from stead.identity.server.calls import NO_STORE, Call, Reply
from stead.identity.server.clients import (
    CODE,
    EXCHANGE,
    REFRESH,
    SERVICE,
    Client,
    add_client,
    find_client,
    find_client_by_key,
)
from stead.identity.server.errors import Refused, invalid_token
from stead.identity.server.logout_notices import address_of, is_address, keep_address
from stead.identity.server.people import find_person
from stead.identity.server.site import Site
from stead.identity.server.store import fresh
from stead.identity.types import Json

_GRANTS = (SERVICE, EXCHANGE, CODE, REFRESH)
_LOOPBACK = re.compile(r"127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|localhost|\[::1\]")
_Grant = Literal[
    "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "authorization_code", "refresh_token"
]


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True)
    keys: Annotated[list[Json], Field(min_length=1, max_length=4)]


class ClientMetadata(BaseModel):
    """RFC 7591 s2, as much of it as means anything here; unknown members are ignored, as the RFC says."""

    model_config = ConfigDict(frozen=True)
    client_name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f<>]{1,100}$")]
    jwks: _Keys
    token_endpoint_auth_method: Literal["private_key_jwt"] = "private_key_jwt"  # noqa: S105  (a method)
    grant_types: Annotated[list[_Grant], Field(min_length=1, max_length=4)] = ["client_credentials"]
    redirect_uris: Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=4)] = []
    backchannel_logout_uri: Annotated[str, Field(max_length=500)] | None = None


def register(site: Site, call: Call) -> Reply:
    """Registers a client, or says again how the client of that key is registered (s3.2.1). Raises `Refused`."""
    _check_initial_token(site, call)
    wanted = _read(call)
    _check_logout_uri(wanted.backchannel_logout_uri, site.issuer.name)
    key = _keys(wanted)
    known = find_client_by_key(site.issuer.store, key.thumbprint())
    client = known or _new_client(site, wanted, key)
    if known is None:
        if not add_client(site.issuer.store, client, site.issuer.now()):
            raise _refused("Another client has just registered under that name.", hint="Register again.")
        keep_address(site.issuer.store, client.client_id, wanted.backchannel_logout_uri)
    return Reply(201, _registered(client, address_of(site.issuer.store, client.client_id)), NO_STORE)


def _check_initial_token(site: Site, call: Call) -> None:
    settings = site.issuer.settings
    if not settings.registration:
        raise Refused("access_denied", "This issuer registers nobody.", status=403)
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    expected = settings.home.secret("initial-access-token").hex()
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), expected.encode()):
        raise invalid_token("Registering needs the initial access token.", hint="It is in the state directory.")


def _read(call: Call) -> ClientMetadata:
    document = call.json or {}
    if "jwks_uri" in document:
        raise _refused("Keys are sent by value (jwks); nothing is fetched.")
    try:
        wanted = ClientMetadata.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _refused(f"The member {where[:100]} is not acceptable.") from None
    for uri in wanted.redirect_uris:
        _check_redirect(uri)
    return wanted


def _check_redirect(uri: str) -> None:
    """https at an address that all reach, or http on loopback; without user information or fragment (RFC 9700 s4.1)."""
    try:
        parts = urlsplit(uri)
        near = _LOOPBACK.fullmatch(parts.hostname or "")
        far = parts.scheme == "https" and reach_of(parts.hostname or "") is not Reach.NEVER
        good = far or (parts.scheme == "http" and near)
    except ValueError:
        good, parts = False, urlsplit("")
    if not good or not parts.hostname or "@" in parts.netloc or "#" in uri or not uri.isascii() or " " in uri:
        raise Refused("invalid_redirect_uri", "A redirect_uri is https, or http on a loopback address.")


def _check_logout_uri(uri: str | None, issuer: str) -> None:
    if uri is not None and not is_address(uri, issuer):
        raise _refused("The backchannel_logout_uri has to be https, at an address that everybody reaches.")


def _keys(wanted: ClientMetadata) -> ECKey:
    """The client's key: P-256, public half only."""
    if len(wanted.jwks.keys) != 1 or "d" in wanted.jwks.keys[0] or wanted.jwks.keys[0].get("crv") != "P-256":
        raise _refused("The jwks has to be one public P-256 key.", hint="Never send the private member d.")
    try:
        return ECKey.import_key(wanted.jwks.keys[0])
    except (JoseError, ValueError, TypeError):
        raise _refused("The key in jwks is not readable.") from None


def _new_client(site: Site, wanted: ClientMetadata, key: ECKey) -> Client:
    return Client(
        client_id=_free_name(site, wanted.client_name),
        name=wanted.client_name,
        jwks=json.dumps({"keys": [{**key.as_dict(private=False), "kid": key.kid or key.thumbprint()}]}),
        redirect_uris=tuple(wanted.redirect_uris),
        grants=tuple(grant for grant in _GRANTS if grant in wanted.grant_types),
        first_party=False,
    )


def _free_name(site: Site, name: str) -> str:
    """The client's own name where it is free, so that the people who read logs and trails know it.

    A person's subject is not free: a client's own tokens have its name as `sub`, and would be that person's (RFC 9068
    s5).
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "client"
    store = site.issuer.store
    is_free = find_client(store, slug) is None and find_person(store, slug) is None
    return slug if is_free else f"{slug}-{fresh(48).lower().strip('-_')}"


def _registered(client: Client, logout_uri: str | None) -> Json:
    told = {} if logout_uri is None else {"backchannel_logout_uri": logout_uri}
    return {
        **told,
        "client_id": client.client_id,
        "client_name": client.name,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": list(client.grants),
        "redirect_uris": list(client.redirect_uris),
        "jwks": json.loads(client.jwks or "{}"),
    }


def _refused(description: str, *, hint: str | None = None) -> Refused:
    return Refused("invalid_client_metadata", description, hint=hint)
