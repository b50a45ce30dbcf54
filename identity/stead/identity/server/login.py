"""The sign-in page."""

from stead.identity.server.authorize import advance
from stead.identity.server.browser import set_cookie, sign_in
from stead.identity.server.calls import Call, Reply
from stead.identity.server.errors import Refused
from stead.identity.server.forms import check_form, csrf_token
from stead.identity.server.guessing import WINDOW, by_password, count_wrong, forgive, must_wait
from stead.identity.server.people import Person, check_password, find_person, sample_people
from stead.identity.server.site import Site
from stead.identity.server.visit import SignedIn, Visit, authenticated, open_visit

_SLOWER = "Too many wrong passwords. Wait five minutes, then try again."
_LATER = ("Retry-After", str(int(WINDOW)))
_WRONG = "That name and password do not match."


def show_login(site: Site, call: Call) -> Reply:
    """Asks for name and password."""
    try:
        visit = open_visit(site, call)
    except Refused as refused:
        return site.pages.refusal(refused)
    return _page(site, visit, username=call.query.one("username"))


def submit_login(site: Site, call: Call) -> Reply:
    """Signs in, under a new cookie, and goes on with what was under way."""
    try:
        visit = open_visit(site, call)
        check_form(site, call, "login", visit.cookie, visit.interaction.id)
    except Refused as refused:
        return site.pages.refusal(refused)
    username = (call.form.one("username") or "").strip()
    store, now, guesses = site.issuer.store, site.issuer.now(), by_password(username, call.place)
    if must_wait(store, guesses, now):
        return _page(site, visit, username=username, error=_SLOWER, status=429).with_headers(_LATER)
    person = check_password(store, username, call.form.one("password") or "")
    if person is None:
        count_wrong(store, guesses, now)
        return _page(site, visit, username=username, error=_WRONG)
    forgive(store, guesses)
    return _signed_in(site, visit, person)


def _signed_in(site: Site, visit: Visit, person: Person) -> Reply:
    store, settings = site.issuer.store, site.issuer.settings
    cookie, session = sign_in(store, settings, visit.cookie, person.subject)
    signed_in = SignedIn(session, person)
    return advance(site, authenticated(site, visit, cookie), signed_in).with_headers(set_cookie(settings, cookie))


def _hinted(site: Site, visit: Visit) -> str:
    """Whom the client expects. One that pushed its request may name the person by subject; the page shows the name."""
    hint = visit.requested.login_hint or ""
    known = find_person(site.issuer.store, hint) if visit.requested.client.pushed_only else None
    return known.username if known else hint


def _page(
    site: Site, visit: Visit, *, username: str | None = None, error: str | None = None, status: int = 403
) -> Reply:
    development = site.issuer.settings.development
    return site.pages.show(
        "login",
        status=status if error else 200,
        redirect_uri=visit.requested.redirect_uri,
        interaction=visit.interaction.id,
        csrf=csrf_token(site, "login", visit.cookie, visit.interaction.id),
        client=visit.requested.client,
        username=username if username is not None else _hinted(site, visit),
        error=error,
        samples=sample_people(site.issuer.store) if development else [],
    )
