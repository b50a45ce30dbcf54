"""Authorization codes and pushed requests: short-lived, single use, claimed atomically."""

from sqlalchemy import delete, insert, select, update

from stead.identity.server import schema
from stead.identity.server.authorization import Authorization, Code
from stead.identity.server.calls import Parameters
from stead.identity.server.errors import invalid_grant
from stead.identity.server.issued import revoke_family
from stead.identity.server.logout_notices import announce
from stead.identity.server.store import Store, digest, fresh

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"


def new_code(store: Store, client_id: str, code: Code, expires: float) -> str:
    """A code for one redemption by that client; the store keeps its digest."""
    text = fresh()
    row = {
        "digest": digest(text),
        "client_id": client_id,
        "redirect_uri": code.redirect_uri,
        "challenge": code.code_challenge,
        "nonce": code.nonce,
        "family": code.family,
        "authorization": code.authorization.as_json(),
        "expires": expires,
    }
    store.run(insert(schema.codes), row)
    return text


def claim_code(store: Store, code: str, client_id: str, now: float) -> Code:
    """Spends the code, so that of two redemptions exactly one wins. Raises `Refused`.

    A code that comes back was stolen or is replayed: everything issued from it ends (RFC 6749 s4.1.2, RFC 9700 s4.5).
    """
    row = store.row(select(schema.codes).where(schema.codes.c.digest == digest(code)))
    if row is None or row["client_id"] != client_id:
        raise invalid_grant("The code is not known.")
    table = schema.codes
    won = store.run(update(table).where(table.c.digest == row["digest"], table.c.claimed.is_(None)).values(claimed=now))
    if won != 1:
        revoke_family(store, row["family"], now)
        announce(store, Authorization.from_json(row["authorization"]).sid, now, only=client_id)
        raise invalid_grant("The code was used before. Everything issued from it has been revoked.")
    if row["expires"] <= now:
        raise invalid_grant("The code has expired.", hint="Start the sign-in again.")
    authorization = Authorization.from_json(row["authorization"])
    return Code(row["redirect_uri"], row["challenge"], row["nonce"], row["family"], authorization)


def push_request(store: Store, client_id: str, parameters: Parameters, expires: float) -> str:
    """Keeps an authorization request; returns its `request_uri` (RFC 9126 s2.2)."""
    name = fresh()
    row = {"digest": digest(name), "client_id": client_id, "parameters": parameters.as_json(), "expires": expires}
    store.run(insert(schema.pushed), row)
    return REQUEST_URI + name


def take_pushed(store: Store, request_uri: str, client_id: str, now: float) -> Parameters | None:
    """Takes a pushed request out: it is used once, by the client that pushed it, within its life (RFC 9126 s4)."""
    table = schema.pushed
    name = digest(request_uri.removeprefix(REQUEST_URI))
    row = store.row(select(table).where(table.c.digest == name, table.c.client_id == client_id))
    if row is None or store.run(delete(table).where(table.c.digest == name)) != 1:
        return None
    return Parameters.from_json(row["parameters"]) if row["expires"] > now else None
