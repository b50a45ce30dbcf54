"""The consent page: what is asked, by whom, for how long; for a payment also from which account."""

from decimal import Decimal

from stead.identity.server.approvals import keep_approval, pinned_digest
from stead.identity.server.authorize import advance, answer, give_up
from stead.identity.server.calls import Call, Reply
from stead.identity.server.errors import Refused
from stead.identity.server.forms import check_form, csrf_token
from stead.identity.server.people import Person
from stead.identity.server.remembered import remember
from stead.identity.server.requested import Requested
from stead.identity.server.rich import payment, with_debtor
from stead.identity.server.site import Site
from stead.identity.server.visit import SignedIn, Visit, open_visit, who_is_signed_in, who_may_go_on
from stead.identity.types import Json

_CHOOSE = "Choose one of your accounts."


def show_consent(site: Site, call: Call) -> Reply:
    """Shows what is asked for, from the validated request and from nothing else."""
    try:
        visit = open_visit(site, call)
    except Refused as refused:
        return site.pages.refusal(refused)
    signed_in = who_may_go_on(site, visit)
    return _sign_in_first(site, visit) if signed_in is None else _page(site, visit, signed_in.person)


def submit_consent(site: Site, call: Call) -> Reply:
    """Takes the person's answer, given on the page that showed exactly this."""
    try:
        visit = open_visit(site, call)
        check_form(site, call, "consent", visit.cookie, _content(visit))
    except Refused as refused:
        return site.pages.refusal(refused)
    signed_in = who_may_go_on(site, visit)
    if signed_in is None:
        return _sign_in_first(site, visit)
    if call.form.one("decision") != "approve":
        return give_up(site, visit, Refused("access_denied", "The person declined."))
    if visit.requested.details:
        return _approve_payment(site, visit, signed_in, call.form.one("debtor"))
    remember(site.issuer.store, signed_in.person, visit.requested)
    return answer(site, visit, signed_in, None)


def _approve_payment(site: Site, visit: Visit, signed_in: SignedIn, debtor: str | None) -> Reply:
    requested, person = visit.requested, signed_in.person
    if debtor is None or debtor not in {account["iban"] for account in _accounts(person, requested)}:
        return _page(site, visit, person, error=_CHOOSE)
    approval = keep_approval(
        site.issuer.store,
        person.subject,
        requested.client.client_id,
        asked=requested.details,
        granted=tuple(with_debtor(one, debtor) for one in requested.details),
        expires=site.issuer.now() + site.issuer.settings.consent_lifetime,
    )
    return answer(site, visit, signed_in, approval)


def _sign_in_first(site: Site, visit: Visit) -> Reply:
    return advance(site, visit, who_is_signed_in(site, visit.cookie))


def _content(visit: Visit) -> str:
    """What the form vouches for: this interaction, and the details to the last member."""
    return f"{visit.interaction.id}\n{pinned_digest(visit.requested.details)}"


def _accounts(person: Person, requested: Requested) -> list[Json]:
    """The person's accounts in the currency of the payment."""
    currencies = {one["instructedAmount"]["currency"] for one in requested.details}
    return [account for account in person.claims.get("accounts", ()) if account.get("currency") in currencies]


def _page(site: Site, visit: Visit, person: Person, *, error: str | None = None) -> Reply:
    requested, details = visit.requested, visit.requested.details
    return site.pages.show(
        "payment" if details else "consent",
        status=400 if error else 200,
        redirect_uri=requested.redirect_uri,
        interaction=visit.interaction.id,
        csrf=csrf_token(site, "consent", visit.cookie, _content(visit)),
        client=requested.client,
        person=person,
        scopes=requested.scopes,
        payment=payment(details[0]) if details else None,
        amount=Decimal(details[0]["instructedAmount"]["amount"]) if details else None,
        accounts=_accounts(person, requested),
        minutes=site.issuer.settings.consent_lifetime // 60,
        error=error,
    )
