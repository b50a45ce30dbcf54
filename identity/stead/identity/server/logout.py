"""Signing out (OpenID Connect RP-Initiated Logout 1.0): at once with a good hint, else after asking."""

from collections.abc import Mapping
from typing import Any

from stead.identity.errors import InvalidToken
from stead.identity.server.browser import clear_cookie, cookie_of, current_session, sign_out
from stead.identity.server.calls import Call, Parameters, Reply, redirect
from stead.identity.server.clients import find_client
from stead.identity.server.core import with_query
from stead.identity.server.errors import Refused
from stead.identity.server.forms import check_form, csrf_token
from stead.identity.server.issuer import Issuer
from stead.identity.server.people import find_person
from stead.identity.server.site import Site
from stead.identity.verification import TokenPolicy, check, decode


def show_logout(site: Site, call: Call) -> Reply:
    """Ends the session that the ID token names; without one, asks the person first."""
    hint = _hinted(site.issuer, call.query.one("id_token_hint"))
    if hint is not None:
        sign_out(site.issuer.store, str(hint["sid"]), site.issuer.now())
        _sign_out_here(site, call, str(hint["sub"]))
        return _done(site, call.query, hint["aud"])
    cookie = cookie_of(site.issuer.settings, call)
    session = current_session(site.issuer.store, cookie, site.issuer.now())
    if cookie is None or session is None:
        return _done(site, call.query, None)
    person = find_person(site.issuer.store, session.subject)
    return site.pages.show("logout", csrf=csrf_token(site, "logout", cookie, session.sid), person=person)


def submit_logout(site: Site, call: Call) -> Reply:
    """Ends this browser's session."""
    cookie = cookie_of(site.issuer.settings, call)
    session = current_session(site.issuer.store, cookie, site.issuer.now())
    if cookie is None or session is None:
        return _done(site, Parameters(), None)
    try:
        check_form(site, call, "logout", cookie, session.sid)
    except Refused as refused:
        return site.pages.refusal(refused)
    sign_out(site.issuer.store, session.sid, site.issuer.now())
    return _done(site, Parameters(), None)


def _sign_out_here(site: Site, call: Call, subject: str) -> None:
    """The same person may have signed in anew since the ID token: this browser's session ends as well."""
    store, now = site.issuer.store, site.issuer.now()
    session = current_session(store, cookie_of(site.issuer.settings, call), now)
    if session is not None and session.subject == subject:
        sign_out(store, session.sid, now)


def _hinted(issuer: Issuer, token: str | None) -> Mapping[str, Any] | None:
    """The claims of one of our ID tokens, which may have expired (s2); None for anything else."""
    if token is None:
        return None
    try:
        unverified = decode(token)
        audience = str(unverified.claims.get("aud"))
        policy = TokenPolicy(issuer.name, audience, typ="JWT", leeway=30 * 86_400, required=("sub", "sid"))
        return check(unverified, issuer.keys, policy, issuer.now())
    except InvalidToken:
        return None


def _done(site: Site, parameters: Parameters, client_id: str | None) -> Reply:
    """Back to the application where its address is registered, else a page that says so."""
    target, state = parameters.one("post_logout_redirect_uri"), parameters.one("state")
    client = find_client(site.issuer.store, client_id) if client_id else None
    if target and client and target in client.post_logout_redirect_uris:
        reply = redirect(with_query(target, {"state": state} if state else {}))
    else:
        reply = site.pages.show("signed_out")
    return reply.with_headers(clear_cookie(site.issuer.settings))
