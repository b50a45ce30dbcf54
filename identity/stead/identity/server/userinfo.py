"""Who signed in, for the client that they signed in to (OpenID Connect Core s5.3)."""

from stead.identity.server.calls import Call, Reply, uncached
from stead.identity.server.errors import invalid_token
from stead.identity.server.own_tokens import require_bearer
from stead.identity.server.people import find_person
from stead.identity.server.site import Site


def userinfo(site: Site, call: Call) -> Reply:
    """The person of a token that was issued for this issuer itself with `openid`."""
    own = require_bearer(site.issuer, call, "openid")
    person = find_person(site.issuer.store, own.claims["sub"])
    if person is None:
        raise invalid_token("The person of this token is not known any more.")
    profile = {"name": person.name, "preferred_username": person.username} if "profile" in own.scopes else {}
    return uncached({"sub": person.subject, **profile})
