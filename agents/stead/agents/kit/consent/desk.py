"""The desk at which a person authorizes: who they are is asked at the company, whether they agree at the provider.

The link leads here first, so that a forwarded link, another person's browser or another login at the provider never
completes somebody's task. The credential goes from the provider to the vault, and nowhere else.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from stead.agents.kit.challenges import Answered, Question
from stead.agents.kit.consent import words
from stead.agents.kit.consent.browsers import Browsers, Purpose, Redirect, Visitor, new_cookie
from stead.agents.kit.consent.codes import Codes
from stead.agents.kit.consent.words import Page
from stead.agents.kit.parking import Parking
from stead.identity.errors import (
    AccessDenied,
    ConsentRequired,
    GrantRefused,
    IdentityError,
    InvalidToken,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows import (
    AuthorizationCode,
    AuthorizationRequest,
    TokenSet,
    begin,
    push,
    redeem,
    validate_callback,
)
from stead.identity.workload import Workload

LOGIN_SCOPES = ("openid", "profile")
log = logging.getLogger("stead.kit")


class Links(Protocol):
    """Which login at a provider belongs to a person of the company."""

    def linked(self, issuer: str, subject: str, provider: str) -> str | None:
        """The subject at `provider`; None when no link is known."""


@dataclass(frozen=True, slots=True)
class Go:
    """The browser is sent elsewhere, perhaps with a new cookie."""

    url: str
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A page is shown, perhaps with a new cookie."""

    page: Page
    cookie: str | None = None


Outcome = Go | Shown


class Desk:
    """One agent's desk. Pages are made elsewhere; here is decided which."""

    def __init__(self, parking: Parking, links: Links) -> None:
        self._parking = parking
        self._links = links
        storage = parking.storage
        self._codes = Codes(parking.workload, storage.vault)
        self._browsers = Browsers(storage.engine, storage.vault, parking.workload.clock)

    @property
    def _workload(self) -> Workload:
        return self._parking.workload

    @property
    def _callback(self) -> str:
        return f"{self._workload.url}/callback"

    async def enter(self, challenge: str, cookie: str | None) -> Outcome:
        """A browser opens the link of a challenge."""
        question = await self._parking.storage.challenges.get(challenge)
        if question is None:
            return Shown(words.UNKNOWN)
        visitor = await self._present(cookie)
        if visitor is None or cookie is None or not _is_subject(visitor, question):
            # Somebody else may have signed in since: who it is now is asked anew, and told at the return.
            return await self._to_sign_in(question, cookie or new_cookie())
        if question.state is Answered.REDEEMING:
            return Shown(await self._redeemed(question, visitor))
        closed = self._closed(question)
        return Shown(closed) if closed else await self._to_provider(question, visitor, cookie)

    async def come_back(self, parameters: Iterable[tuple[str, str]], cookie: str | None) -> Outcome:
        """A browser comes back from a provider."""
        pairs = list(parameters)
        states = [value for name, value in pairs if name == "state"]
        redirect = await self._browsers.returned(cookie, states[0]) if len(states) == 1 else None
        question = None if redirect is None else await self._parking.storage.challenges.get(redirect.challenge)
        if redirect is None or question is None or cookie is None:
            return Shown(words.FOREIGN)
        if redirect.request is None:
            return Shown(self._closed(question) or words.FOREIGN)
        if redirect.purpose is not Purpose.CONSENT:
            return await self._signed_in(question, redirect, pairs, cookie)
        return Shown(await self._answered(question, redirect.request, pairs, cookie))

    def _closed(self, question: Question) -> Page | None:
        """The page for a question that takes no answer any more."""
        if question.state is Answered.OPEN:
            late = question.challenge.expires_at <= self._workload.clock()
            return words.EXPIRED if late else None
        return _CLOSED.get(question.state)

    # ---- who is it?

    async def _present(self, cookie: str | None) -> Visitor | None:
        """Who is signed in with this cookie, unless their provider said since that they signed out."""
        visitor = await self._browsers.visitor(cookie)
        if visitor is None or self._workload.hearing.ends_session(
            visitor.issuer, visitor.sid, (visitor.subject, visitor.sub), visitor.begun
        ):
            return None
        return visitor

    async def _to_sign_in(self, question: Question, cookie: str, purpose: Purpose = Purpose.RECOGNIZE) -> Outcome:
        workload = self._workload
        metadata = await workload.metadata()
        extra = {"prompt": "none"} if purpose is Purpose.RECOGNIZE else {}
        request = begin(workload.client, metadata, redirect_uri=self._callback, scopes=LOGIN_SCOPES, extra=extra)
        await self._browsers.send(cookie, purpose, question.challenge.id, request)
        return Go(request.url, cookie)

    async def _signed_in(
        self, question: Question, redirect: Redirect, pairs: list[tuple[str, str]], cookie: str
    ) -> Outcome:
        link = question.challenge.link
        try:
            visitor = await self._visitor(redirect.request, pairs)
        except (StepUpRequired, ConsentRequired):
            if redirect.purpose is Purpose.RECOGNIZE:
                return await self._to_sign_in(question, cookie, Purpose.SIGN_IN)
            return Shown(words.try_again("your company", link))
        except IdentityError as error:
            log.info("sign-in at the desk failed: %s", error.description)
            return Shown(words.try_again("your company", link))
        cookie = await self._browsers.sign_in(visitor)
        if not _is_subject(visitor, question):
            return Shown(words.not_yours(visitor.name), cookie)
        if redirect.purpose is Purpose.RECOGNIZE:
            return Go(link, cookie)
        # Browsers hold the login form's form-action against every redirect that follows its submission, so the
        # chain ends here and a new navigation begins (CSP3 s6.4.2).
        provider, told = question.challenge.provider.name, question.operation.explanation
        return Shown(words.signed_in(visitor.name, provider, told, link), cookie)

    async def _visitor(self, request: AuthorizationRequest | None, pairs: list[tuple[str, str]]) -> Visitor:
        if request is None:
            raise InvalidToken("The answer was used before.")
        workload = self._workload
        code = validate_callback(request, pairs)
        metadata = await workload.metadata()
        described = workload.settings.described(request.issuer)
        flow = redeem(workload.client, metadata, request, code, now=workload.clock(), algorithms=described.algorithms)
        tokens = await workload.run(flow)
        claims = tokens.id_token or {}
        subject = claims.get(described.subject)
        if not isinstance(subject, str) or not subject:
            raise InvalidToken("The provider did not say who signed in.")
        sid, sub = (claims[name] if isinstance(claims.get(name), str) else None for name in ("sid", "sub"))
        return Visitor(request.issuer, subject, str(claims.get("name", subject)), sid, sub)

    # ---- do they agree?

    async def _to_provider(self, question: Question, visitor: Visitor, cookie: str) -> Outcome:
        provider = question.challenge.provider
        linked = self._links.linked(visitor.issuer, visitor.subject, provider.issuer)
        if linked is None:
            return Shown(words.not_linked(provider.name, visitor.name))
        try:
            request = await self._pushed(question, linked)
        except IdentityError as error:
            log.warning("the request at %s was refused: %s", provider.issuer, error.description)
            return Shown(words.try_again(provider.name, question.challenge.link))
        await self._browsers.send(cookie, Purpose.CONSENT, question.challenge.id, request)
        return Go(request.url)

    async def _pushed(self, question: Question, linked: str) -> AuthorizationRequest:
        workload, operation = self._workload, question.operation
        issuer = question.challenge.provider.issuer
        client, metadata = workload.proving_client_of(issuer), await workload.metadata(issuer)
        request = begin(
            client,
            metadata,
            redirect_uri=self._callback,
            scopes=("openid", *operation.scopes),
            resources=(operation.audience,),
            authorization_details=(dict(operation.details),),
            extra={"login_hint": linked},
        )
        return await workload.run(push(client, metadata, request, now=workload.clock()))

    async def _answered(
        self, question: Question, request: AuthorizationRequest, pairs: list[tuple[str, str]], cookie: str
    ) -> Page:
        visitor = await self._present(cookie)
        if visitor is None or not _is_subject(visitor, question):
            return words.FOREIGN
        closed = self._closed(question)
        if closed is not None:
            return closed
        try:
            code = validate_callback(request, pairs)
        except AccessDenied:
            return await self._declined(question)
        except IdentityError as error:
            log.info("the answer of %s is not usable: %s", request.issuer, error.description)
            return words.try_again(question.challenge.provider.name, question.challenge.link)
        return await self._agreed(question, visitor, request, code)

    async def _declined(self, question: Question) -> Page:
        if await self._parking.answer(question.challenge, Answered.DECLINED):
            return words.DECLINED
        return words.FOREIGN

    async def _agreed(
        self, question: Question, visitor: Visitor, request: AuthorizationRequest, code: AuthorizationCode
    ) -> Page:
        """Keeps the code before it is spent, so that a crash in between loses at most one answer, and no money."""
        await self._codes.keep(question, request, code)
        challenge = question.challenge.id
        challenges = self._parking.storage.challenges
        if not await challenges.move(challenge, Answered.OPEN, Answered.REDEEMING):
            now = await challenges.get(challenge)
            if now is None or now.state is not Answered.REDEEMING:  # its task forgot its secrets before this one came
                await self._codes.forget(question)
            return words.FOREIGN
        return await self._redeemed(question, visitor)

    async def _redeemed(self, question: Question, visitor: Visitor) -> Page:
        """Spends the code that was kept; asks again where that cannot be done any more."""
        provider = question.challenge.provider
        try:
            tokens = await self._codes.redeem(question)
            linked = self._links.linked(visitor.issuer, visitor.subject, provider.issuer)
            if linked is None or (tokens.id_token or {}).get("sub") != linked:
                await self._codes.give_back(provider.issuer, tokens)
                await self._reopen(question)
                return words.other_account(provider.name, visitor.name)
        except ProviderUnavailable:
            return words.try_again(provider.name, question.challenge.link)
        except (GrantRefused, InvalidToken) as error:
            log.info("the code of %s is not usable: %s", provider.issuer, error.description)
            await self._reopen(question)
            return words.try_again(provider.name, question.challenge.link)
        return await self._granted(question, tokens)

    async def _granted(self, question: Question, tokens: TokenSet) -> Page:
        challenge, provider = question.challenge, question.challenge.provider
        named = (tokens.id_token or {}).get("consent_id")
        details = tokens.authorization_details or ()
        consent_id = named if isinstance(named, str) else None
        if not await self._parking.grant(challenge, question.owner, tokens.access_token, details, consent_id):
            return words.FOREIGN
        await self._codes.forget(question)
        return words.confirmed(provider.name, question.operation.explanation, self._workload.home.network.web)

    async def _reopen(self, question: Question) -> None:
        await self._codes.forget(question)
        await self._parking.storage.challenges.move(question.challenge.id, Answered.REDEEMING, Answered.OPEN)


_CLOSED = {
    Answered.GRANTED: words.GRANTED,
    Answered.DECLINED: words.DECLINED,
    Answered.EXPIRED: words.EXPIRED,
    Answered.CANCELED: words.CANCELED,
}


def _is_subject(visitor: Visitor, question: Question) -> bool:
    challenge = question.challenge
    return (visitor.issuer, visitor.subject) == (challenge.subject_issuer, challenge.subject)
