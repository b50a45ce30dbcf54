"""A person's browser in the middle of one authorization request: what the sign-in and consent pages work on."""

from dataclasses import dataclass, replace

from stead.identity.server.assurance import suffices
from stead.identity.server.browser import (
    Interaction,
    Session,
    cookie_of,
    current_session,
    find_interaction,
    mark_authenticated,
)
from stead.identity.server.calls import Call
from stead.identity.server.errors import Refused
from stead.identity.server.people import Person, find_person
from stead.identity.server.requested import Requested, read_request
from stead.identity.server.site import Site

EXPIRED = "This page has expired, or was opened in another browser."


@dataclass(frozen=True)
class Visit:
    """The open interaction, the request it is about, and the cookie of the browser that it is bound to."""

    interaction: Interaction
    requested: Requested
    cookie: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in."""

    session: Session
    person: Person


def open_visit(site: Site, call: Call) -> Visit:
    """The visit that a page is about. Raises `Refused` where it is over, or another browser's.

    The request is validated again: its client may have been taken away meanwhile.
    """
    parameters = call.form if call.method == "POST" else call.query
    cookie = cookie_of(site.issuer.settings, call)
    identifier = parameters.one("interaction") or ""
    found = find_interaction(site.issuer.store, identifier, cookie, site.issuer.now())
    if found is None or cookie is None:
        raise Refused("invalid_request", EXPIRED, hint="Go back to the application and start again.")
    return Visit(found, read_request(site, found.parameters, pushed=True), cookie)


def who_is_signed_in(site: Site, cookie: str | None) -> SignedIn | None:
    """The person of that browser's session."""
    session = current_session(site.issuer.store, cookie, site.issuer.now())
    person = find_person(site.issuer.store, session.subject) if session else None
    return SignedIn(session, person) if session and person else None


def needs_login(site: Site, visit: Visit, signed_in: SignedIn | None) -> bool:
    """Whether nobody, another person, or not freshly enough the right one is signed in (OIDC Core s3.1.2.1)."""
    if signed_in is None:
        return True
    if visit.interaction.authenticated:
        return False
    requested, person = visit.requested, signed_in.person
    if requested.prompts & {"login", "select_account"}:
        return True
    if requested.login_hint not in (None, person.subject, person.username):
        return True
    return requested.max_age is not None and signed_in.session.auth_time + requested.max_age < site.issuer.now()


def needs_second_factor(visit: Visit, signed_in: SignedIn) -> bool:
    """Whether the sign-in is weaker than what the client wishes (RFC 9470 s5)."""
    return not suffices(signed_in.session.acr, visit.requested.wish)


def who_may_go_on(site: Site, visit: Visit) -> SignedIn | None:
    """Who is signed in the way that the client wishes; None where a page that makes them so comes first."""
    signed_in = who_is_signed_in(site, visit.cookie)
    if signed_in is None or needs_login(site, visit, signed_in) or needs_second_factor(visit, signed_in):
        return None
    return signed_in


def authenticated(site: Site, visit: Visit, cookie: str) -> Visit:
    """The same visit under the cookie of the sign-in that it led to, which it does not ask for again."""
    mark_authenticated(site.issuer.store, visit.interaction)
    return Visit(replace(visit.interaction, authenticated=True), visit.requested, cookie)
