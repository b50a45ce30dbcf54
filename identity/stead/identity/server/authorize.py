"""The authorization endpoint (RFC 6749 s3.1): from a validated request to a login, a consent, a code or an error."""

from stead.identity.server.approvals import Approval, unspent_approval
from stead.identity.server.assurance import answered, unmet
from stead.identity.server.authorization import Authorization
from stead.identity.server.browser import begin, cookie_of, finish, set_cookie
from stead.identity.server.calls import Call, Parameters, Reply, redirect
from stead.identity.server.codes import REQUEST_URI, take_pushed
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.people import Person
from stead.identity.server.remembered import remembers
from stead.identity.server.requested import Requested, read_request
from stead.identity.server.site import Site
from stead.identity.server.store import fresh
from stead.identity.server.visit import SignedIn, Visit, needs_login, needs_second_factor, who_is_signed_in

_REQUIRED = {"login": "login_required", "consent": "consent_required", "second-factor": "interaction_required"}
"""What a client is told that wants no page shown (OpenID Connect Core s3.1.2.6)."""


def authorize(site: Site, call: Call) -> Reply:
    """Starts an interaction in this browser, or answers at once where nothing has to be asked."""
    try:
        parameters, pushed = _parameters(site, call.query)
    except Refused as refused:
        return site.pages.refusal(refused)
    try:
        requested = read_request(site, parameters, pushed=pushed)
    except Refused as refused:
        return refuse(site, refused, parameters.one("state"))
    known = cookie_of(site.issuer.settings, call)
    cookie = known or fresh()
    interaction = begin(site.issuer.store, site.issuer.settings, cookie, parameters)
    reply = advance(site, Visit(interaction, requested, cookie), who_is_signed_in(site, known))
    return reply if known else reply.with_headers(set_cookie(site.issuer.settings, cookie))


def advance(site: Site, visit: Visit, signed_in: SignedIn | None) -> Reply:
    """The next step of a visit: sign in, prove more, consent, or the answer."""
    if signed_in is None or needs_login(site, visit, signed_in):
        return _ask(site, visit, "login")
    if needs_second_factor(visit, signed_in):
        return _ask_for_more(site, visit, signed_in.person)
    approval = _approval(site, visit.requested, signed_in.person)
    if approval is None and _needs_consent(site, visit.requested, signed_in.person):
        return _ask(site, visit, "consent")
    return answer(site, visit, signed_in, approval)


def answer(site: Site, visit: Visit, signed_in: SignedIn, approval: Approval | None) -> Reply:
    """A code for what the person authorized. A visit is answered once."""
    if not finish(site.issuer.store, visit.interaction):
        return site.pages.refusal(invalid_request("This request was answered already."))
    requested, session = visit.requested, signed_in.session
    requested.request.authorization = Authorization(
        subject=session.subject,
        sid=session.sid,
        auth_time=session.auth_time,
        acr=answered(session.acr, requested.wish),
        amr=session.amr,
        scopes=requested.scopes,
        resources=requested.resources,
        details=approval.details if approval else (),
        consent_id=approval.consent_id if approval else None,
        jkt=requested.jkt,
    )
    reply: Reply = site.core.create_authorization_response(
        requested.request, grant_user=signed_in.person, grant=requested.grant
    )
    return reply


def give_up(site: Site, visit: Visit, refused: Refused) -> Reply:
    """Ends the visit, and tells the client why."""
    finish(site.issuer.store, visit.interaction)
    refused.redirect_uri = visit.requested.redirect_uri
    return refuse(site, refused, visit.requested.state)


def refuse(site: Site, refused: Refused, state: str | None) -> Reply:
    """An error: to the client where its address is known to be its own, else on a page of ours."""
    if refused.redirect_uri is None:
        return site.pages.refusal(refused)
    return site.core.answer(refused.redirect_uri, dict(refused.get_body()), state)


def _needs_consent(site: Site, requested: Requested, person: Person) -> bool:
    if requested.details or "consent" in requested.prompts:
        return True
    return not requested.client.first_party and not remembers(site.issuer.store, person, requested)


def _approval(site: Site, requested: Requested, person: Person) -> Approval | None:
    if not requested.details or "consent" in requested.prompts:
        return None
    store, client_id = site.issuer.store, requested.client.client_id
    return unspent_approval(store, person.subject, client_id, requested.details, site.issuer.now())


def _ask_for_more(site: Site, visit: Visit, person: Person) -> Reply:
    if person.has_second_factor:
        return _ask(site, visit, "second-factor")
    return give_up(site, visit, unmet("This person has no second factor.", hint="Give them one, or ask for less."))


def _ask(site: Site, visit: Visit, page: str) -> Reply:
    if "none" not in visit.requested.prompts:
        return redirect(site.issuer.settings.url(f"/{page}?interaction={visit.interaction.id}"))
    refused = Refused(_REQUIRED[page], f"The person has to see the {page} page.")
    refused.redirect_uri = visit.requested.redirect_uri
    return refuse(site, refused, visit.requested.state)


def _parameters(site: Site, query: Parameters) -> tuple[Parameters, bool]:
    """The request itself, or the pushed one that it refers to: then nothing else of the query counts (RFC 9126 s4)."""
    reference = query.one("request_uri")
    if reference is None:
        return query, False
    if not reference.startswith(REQUEST_URI):
        raise Refused("invalid_request_uri", "Only pushed requests are accepted.", hint="Nothing is fetched for a URL.")
    pushed = take_pushed(site.issuer.store, reference, query.one("client_id") or "", site.issuer.now())
    if pushed is None:
        raise Refused("invalid_request_uri", "This link was used before, or has expired.", hint="Start again.")
    return pushed, True
