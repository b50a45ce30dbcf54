"""The public keys of this issuer's clients, for who checks what a client signed: the head of an audit chain, say."""

import json

from stead.identity.server.calls import Call, Reply, public
from stead.identity.server.clients import find_client
from stead.identity.server.site import Site
from stead.identity.types import Json


def client_keys(site: Site, call: Call) -> Reply:
    """A JWK set (RFC 7517 s5) as registered; the empty one for a client that has no key, or is none."""
    client = find_client(site.issuer.store, call.query.one("client_id") or "")
    registered = {"keys": []} if client is None or client.jwks is None else json.loads(client.jwks)
    return public({"keys": [_for_signatures(key) for key in registered["keys"]]})


def _for_signatures(key: Json) -> Json:
    return {"alg": "ES256", **key, "use": "sig"}
