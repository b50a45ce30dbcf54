"""FinPort on trial: no profile is needed, since the state directory says all that it would.

At the Transfer agent the kit plays the broker, whose key lies there; at the broker it is the terminal. Both times
people really sign in. It uses a payee of its own, so that what it changes behind the agent's back is nobody else's.
"""

import sqlite3
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field

import httpx
from joserfc.jwk import ECKey

from stead.agents.transfer.directory import Directory, Payee
from stead.demo.cli.browser import Login
from stead.demo.cli.session import Session, person_named, signed_in
from stead.demo.conformance.agent import Agent
from stead.demo.conformance.answering import InBrowser, connected
from stead.demo.conformance.people import People, Person
from stead.demo.conformance.profile import EXTENSION, Buttons, Profile
from stead.demo.conformance.trial import Trial
from stead.identity.driver import drive
from stead.identity.egress import Nonces, shown
from stead.identity.errors import ConfigurationError
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata, discover
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.token_exchange import obo
from stead.identity.flows.wire import TokenSet, origin
from stead.identity.home import Home
from stead.identity.samples import ALICE, ALICE_BROKERAGE, BOB, CAROL
from stead.identity.settings import Settings
from stead.identity.types import Json
from stead.identity.values import AccessToken

ALIAS, NAME = "Conformance check", "Conformance Kit"
"""The payee: what Alice calls it, and whose account it is."""

_FRESH = 30.0
_ACCOUNT, _OTHER_ACCOUNT = CAROL.accounts[0].iban, ALICE_BROKERAGE


def _profile(parts: Sequence[Json], question: Json, result: str) -> Profile:
    return Profile.model_validate(
        {
            "trigger": {"parts": parts[:1], "changed": parts[1:]},
            "question": question,
            "result": {
                "/0/instructedAmount/amount": f"{result}/amount",
                "/0/instructedAmount/currency": f"{result}/currency",
                "/0/creditorAccount/iban": f"{result}/iban",
            },
            "people": {"owner": {}, "others": {"carol": {}, _MIXED: {}}},
            "times": {"settle": 0.5},
            "expiry": {"metadata": {EXTENSION: {"answer_within": 3}}},
        }
    )


_MIXED = "alice signed in as bob at the bank"
_AMOUNTS = ("1.00", "9.00")
TRANSFER = _profile(
    [{"data": {"skill": "send", "input": {"payee": ALIAS, "amount": amount}}} for amount in _AMOUNTS], {}, ""
)
BROKER = _profile(
    [{"text": f"Transfer {amount} EUR to {ALIAS}"} for amount in _AMOUNTS],
    {
        "link": "/challenges/0/link",
        "details": "/challenges/0/authorization_details",
        "expires_at": "/challenges/0/expires_at",
    },
    "/results/0/output",
)
"""What a file would say of each; who the people are is known here."""


@dataclass(slots=True)
class _Exchanged(httpx.Auth):
    """A person's token for the agent, as the broker gets it for them: bound to a key of this run (RFC 9449)."""

    session: Session
    audience: str
    client: ClientIdentity
    metadata: Metadata
    _nonces: Nonces = field(default_factory=Nonces)
    _held: TokenSet | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token, place = await self._token(), origin(self.audience)
        request.headers.update(shown(token, request.method, str(request.url), self._nonces.at(place)))
        response = yield request
        if self._nonces.learn(place, token, response):
            request.headers.update(shown(token, request.method, str(request.url), self._nonces.at(place)))
            yield request

    async def _token(self) -> AccessToken:
        if self._held is None or self._held.expires_at - time.time() < _FRESH:
            self._held = await self._obtained()
        return self._held.access_token

    async def _obtained(self) -> TokenSet:
        flow = obo(
            self.client,
            self.metadata,
            subject_token=await self.session.token(self.session.home.network.broker),
            audience=self.audience,
            scopes=("transfer:create",),
            now=time.time(),
            txn="conformance",
        )
        return await drive(with_nonce(flow, time.time), self.session.http)


@dataclass(frozen=True, slots=True)
class _Books:
    """What the kit changes and sees behind the agent's back: the payee's account, and the payments made."""

    home: Home
    directory: Directory
    issuer: str

    def begin(self) -> None:
        self._payee(_ACCOUNT)

    def end(self) -> None:
        self.directory.remove(self.issuer, ALICE.username, ALIAS)

    async def change(self) -> bool:
        self._payee(_OTHER_ACCOUNT)
        return True

    async def undo(self) -> None:
        self._payee(_ACCOUNT)

    async def executions(self) -> str | None:
        with closing(sqlite3.connect(self.home.database("payments-mcp"))) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'payments'").fetchone():
                return "0"
            made = database.execute("SELECT count(*) FROM payments WHERE creditor_name = ?", (NAME,)).fetchone()
        return str(made[0])

    def _payee(self, iban: str) -> None:
        self.directory.put(self.issuer, ALICE.username, Payee(ALIAS, NAME, iban))


def profile_of(home: Home, url: str) -> Profile | None:
    """The profile of one of the network's own that asks people; None for any other, or on other providers."""
    try:
        network, settings = home.network, Settings.load(home)
    except ConfigurationError:
        return None
    if settings.issuer is not None or settings.bank is not None or settings.login is not None:
        return None
    return {network.agents.get("transfer"): TRANSFER, network.broker: BROKER}.get(url)


@asynccontextmanager
async def on_trial(home: Home, url: str, profile: Profile) -> AsyncGenerator[Trial, None]:
    """The agent with Alice as owner. Raises `ProviderUnavailable` when the network does not run."""
    async with AsyncExitStack() as stack:
        alice, calling = await _person(home, url, ALICE.username, stack)
        carol, _ = await _person(home, url, CAROL.username, stack)
        mixed = Person(_MIXED, _browser(home, ALICE.username, BOB.username, stack))
        books = _Books(home, Directory.of(home), home.network.corporate_idp)
        stack.enter_context(_payee(books))
        yield Trial(profile, People(alice, calling, (carol, mixed)), books)


@contextmanager
def _payee(books: _Books) -> Iterator[None]:
    books.begin()
    try:
        yield
    finally:
        books.end()


async def _person(home: Home, url: str, username: str, stack: AsyncExitStack) -> tuple[Person, Agent]:
    session = await signed_in(home, username, {home.network.broker: ("broker:ask",)})
    stack.push_async_callback(session.close)
    auth = session.auth(url) if url == home.network.broker else await _through_the_broker(session, url)
    agent = Agent(url, connected(auth=auth, timeout=TRANSFER.times.finish), EXTENSION)
    stack.push_async_callback(agent.close)
    return Person(username, _browser(home, username, username, stack), agent), agent


async def _through_the_broker(session: Session, url: str) -> httpx.Auth:
    metadata = await drive(discover(session.home.network.corporate_idp), session.http)
    broker = ClientIdentity("broker", session.home.key("broker"), metadata.issuer)
    return _Exchanged(session, url, broker.proving(ECKey.generate_key("P-256")), metadata)


def _browser(home: Home, username: str, at_the_bank: str, stack: AsyncExitStack) -> InBrowser:
    person, payer, network = person_named(username), person_named(at_the_bank), home.network
    logins = {
        network.corporate_idp: Login(person.username, person.password),
        network.bank_idp: Login(payer.username, payer.bank_password),
    }
    browser = InBrowser(logins, Buttons())
    stack.push_async_callback(browser.close)
    return browser
