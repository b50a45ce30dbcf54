"""The page that asks a signed-in person for a one-time code, where a client wants more than a password (RFC 9470)."""

from stead.identity.server.authenticators import spend_code, unspent_code
from stead.identity.server.authorize import advance, give_up
from stead.identity.server.browser import raise_session, set_cookie
from stead.identity.server.calls import Call, Reply
from stead.identity.server.errors import Refused
from stead.identity.server.forms import check_form, csrf_token
from stead.identity.server.guessing import WINDOW, by_code, count_wrong, forgive, must_wait
from stead.identity.server.people import Person
from stead.identity.server.site import Site
from stead.identity.server.visit import (
    SignedIn,
    Visit,
    authenticated,
    needs_login,
    needs_second_factor,
    open_visit,
    who_is_signed_in,
)

_SLOWER = "Too many wrong codes. Wait five minutes, then try again."
_LATER = ("Retry-After", str(int(WINDOW)))
_WRONG = "That code is wrong, or was used before. Take the one that your authenticator shows now."


def show_second_factor(site: Site, call: Call) -> Reply:
    """Asks for the code, or goes on where none is due."""
    try:
        visit = open_visit(site, call)
    except Refused as refused:
        return site.pages.refusal(refused)
    asked = _asked(site, visit)
    return advance(site, visit, who_is_signed_in(site, visit.cookie)) if asked is None else _page(site, visit, asked)


def submit_second_factor(site: Site, call: Call) -> Reply:
    """Raises the session by the code of its own person, and goes on with what was under way."""
    try:
        visit = open_visit(site, call)
        asked = _asked(site, visit)
        check_form(site, call, "second-factor", visit.cookie, _content(visit, asked))
    except Refused as refused:
        return site.pages.refusal(refused)
    if asked is None:
        return advance(site, visit, who_is_signed_in(site, visit.cookie))
    if call.form.one("decision") == "decline":
        return give_up(site, visit, Refused("access_denied", "The person gave no second factor."))
    return _tried(site, visit, asked, call.form.one("code") or "")


def _tried(site: Site, visit: Visit, asked: SignedIn, code: str) -> Reply:
    store, now, guesses = site.issuer.store, site.issuer.now(), by_code(asked.person.subject)
    if must_wait(store, guesses, now):
        return _page(site, visit, asked, error=_SLOWER, status=429).with_headers(_LATER)
    if not spend_code(store, site.issuer.settings, asked.person.subject, code, now):
        count_wrong(store, guesses, now)
        return _page(site, visit, asked, error=_WRONG)
    forgive(store, guesses)
    return _raised(site, visit, asked)


def _raised(site: Site, visit: Visit, asked: SignedIn) -> Reply:
    store, settings = site.issuer.store, site.issuer.settings
    cookie, session = raise_session(store, settings, visit.cookie, asked.session)
    signed_in = SignedIn(session, asked.person)
    return advance(site, authenticated(site, visit, cookie), signed_in).with_headers(set_cookie(settings, cookie))


def _asked(site: Site, visit: Visit) -> SignedIn | None:
    """Of whom a code is due now: whoever is signed in as this visit wants it, but for the code."""
    signed_in = who_is_signed_in(site, visit.cookie)
    if signed_in is None or needs_login(site, visit, signed_in):
        return None
    due = needs_second_factor(visit, signed_in) and signed_in.person.has_second_factor
    return signed_in if due else None


def _content(visit: Visit, asked: SignedIn | None) -> str:
    """What the form vouches for: this visit, in the session of the person whom the page named."""
    return f"{visit.interaction.id}\n{asked.session.sid if asked else ''}"


def _page(site: Site, visit: Visit, asked: SignedIn, *, error: str | None = None, status: int = 403) -> Reply:
    return site.pages.show(
        "second_factor",
        status=status if error else 200,
        redirect_uri=visit.requested.redirect_uri,
        interaction=visit.interaction.id,
        csrf=csrf_token(site, "second-factor", visit.cookie, _content(visit, asked)),
        client=visit.requested.client,
        person=asked.person,
        error=error,
        sample=_sample(site, asked.person),
    )


def _sample(site: Site, person: Person) -> str | None:
    """A sample person has no telephone: a development page shows what it would show."""
    if not site.issuer.settings.development or person.sample_password is None:
        return None
    return unspent_code(site.issuer.store, site.issuer.settings, person.subject, site.issuer.now())
