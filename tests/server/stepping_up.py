"""An authenticator as a telephone has one, and a person who is asked for its code."""

import hashlib
import hmac
import sqlite3
from contextlib import closing

import httpx

from stead.identity.samples import Person, authenticator
from stead.identity.server.authorization import ACR_MFA
from tests.server.issuers import BROKER, Issuer
from tests.server.parties import Browser, Login, answered
from tests.server.world import World


def code_of(secret: bytes, now: float) -> str:
    """RFC 4226 s5.3 and RFC 6238 s4, by hand."""
    mac = hmac.digest(secret, int(now // 30).to_bytes(8, "big"), hashlib.sha1)
    at = mac[-1] & 0xF
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def shown(issuer: Issuer, person: Person, later: float = 0) -> str:
    """What the person's telephone shows, or will show so many seconds later."""
    return code_of(authenticator(person, issuer.home), issuer.clock() + later)


def another_than(code: str) -> str:
    """A code that is wrong, by this much."""
    return f"{(int(code) + 500_000) % 1_000_000:06}"


async def asked(
    world: World, browser: Browser, login: Login, acr_values: str | None = ACR_MFA, **more: str
) -> httpx.Response:
    """What a client's request for a sign-in of that class leads to in this browser."""
    parameters = login.parameters(world.web, "openid broker:ask", BROKER, acr_values=acr_values, **more)
    return await browser.get("/authorize", parameters)


async def signed_in(world: World, browser: Browser, person: Person, acr_values: str | None = None) -> httpx.Response:
    """The answer, or the page that comes, once the person typed the password."""
    page = await asked(world, browser, Login(), acr_values)
    return await browser.sign_in(page, person.username, person.password)


async def tokens(world: World, login: Login, done: httpx.Response) -> dict[str, str]:
    """What the answer is redeemed for."""
    response = await world.redeem(login, answered(done)["code"])
    assert response.status_code == 200, response.text
    return dict(response.json())


def forget(issuer: Issuer) -> None:
    """The codes that were spent and guessed: the clock of these tests goes back after each."""
    with closing(sqlite3.connect(issuer.settings.path)) as database, database:
        database.execute("DELETE FROM guesses")
        database.execute("UPDATE persons SET last_code = NULL")
