"""A real Keycloak that wants more of a person: a second factor, or a yes. Each is told as what it is."""

import hashlib
import hmac
import json
import re
import struct
import time

import httpx
import pytest

from stead.identity.driver import fetch
from stead.identity.errors import AccessDenied, ConsentRequired, StepUpRequired
from stead.identity.flows.wire import TokenSet
from stead.identity.peek import peek_claims
from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD
from stead.identity.values import Principal
from stead.identity.verifier import Verifier
from tests.providers.conftest import SECOND_FACTOR, Elsewhere
from tests.providers.desk import Desk, Hesitant
from tests.providers.keycloak import available
from tests.providers.tab import ENDED, signed_in

pytestmark = [
    pytest.mark.skipif(not available(), reason="Keycloak is not installed: run `make test`"),
    pytest.mark.timeout(500),
]


def code_now() -> str:
    """What Carol's device shows (RFC 6238)."""
    digest = hmac.new(SECOND_FACTOR.encode(), struct.pack(">Q", int(time.time() // 30)), hashlib.sha1).digest()
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


async def stepped_up(desk: Desk) -> TokenSet:
    """Carol, who is signed in by password, shows her second factor and nothing else."""
    pending, page = await desk.asked(who="carol", acr_values=ACR_MFA)
    assert "password" not in page.forms()[0].fields
    return await desk.redeemed(pending, await desk.answered(page, otp=code_now()))


async def seen_at(desk: Desk, service: str, tokens: TokenSet) -> Principal:
    async def keys(url: str) -> bytes:
        return await fetch(url, desk.open_.bare)

    trusted = desk.settings.described(desk.elsewhere.issuer)
    audience = next(address for address, name in trusted.audiences.items() if name == service)
    return await Verifier([trusted.trusted()], audience, keys, time.time).verify(tokens.access_token)


async def test_a_password_is_one_level_and_a_second_factor_the_next(desk: Desk) -> None:
    first = await seen_at(desk, "broker", await desk.sign_in("carol"))
    second = await seen_at(desk, "broker", await stepped_up(desk))
    assert (first.claims["acr"], second.claims["acr"]) == (ACR_PASSWORD, ACR_MFA)
    assert (first.subject, first.claims["sid"]) == (second.subject, second.claims["sid"])


async def test_where_nobody_is_asked_a_stronger_sign_in_is_told_to_be_needed(desk: Desk) -> None:
    await desk.sign_in("carol")
    pending, page = await desk.asked(who="carol", acr_values=ACR_MFA, prompt="none")
    with pytest.raises(StepUpRequired):
        await desk.redeemed(pending, page)
    await stepped_up(desk)
    pending, page = await desk.asked(who="carol", acr_values=ACR_MFA, prompt="none")
    assert await desk.redeemed(pending, page)


async def test_a_wrong_code_is_no_second_factor(desk: Desk) -> None:
    await desk.sign_in("carol")
    _, page = await desk.asked(who="carol", acr_values=ACR_MFA)
    again = await desk.answered(page, otp="000000" if code_now() != "000000" else "000001")
    assert again.status == 200
    assert not again.url.startswith(desk.callback)


async def test_an_exchange_forgets_the_level_and_the_session_tells_it_all_the_same(desk: Desk) -> None:
    seen = []
    for strong in (False, True):
        tokens = await desk.exchanged(await stepped_up(desk) if strong else await desk.sign_in("carol"))
        person = await seen_at(desk, "portfolio-agent", tokens)
        seen.append((peek_claims(tokens.access_token)["acr"], person.claims["acr"]))
    assert seen == [(ACR_PASSWORD, ACR_PASSWORD), (ACR_PASSWORD, ACR_MFA)]


async def test_a_transfer_above_the_limit_waits_for_the_second_factor_and_then_for_the_bank(
    elsewhere: Elsewhere,
) -> None:
    """FinPort's own rule, as it is: the page leads to Keycloak's second factor, and the request goes on."""
    async with signed_in(elsewhere, "carol") as tab:
        task = await tab.ask("Transfer 1200 EUR to Bob's savings", "TASK_STATE_AUTH_REQUIRED")
        assert ACR_MFA in json.dumps(task["status"]), task
        page = await Hesitant(tab.http, {}).visit(f"{tab.web}/login?task={task['id']}")
        (form,) = [form for form in page.forms() if form.code_field]
        target, origin = str(httpx.URL(page.url).join(form.action)), elsewhere.issuer.partition("/realms/")[0]
        fields = form.fields | {str(form.code_field): code_now()}
        await tab.http.post(target, data=fields, headers={"origin": origin}, follow_redirects=True)
        asked = await tab.until_told(task["id"], '"link"')
        link = re.search(r'"link": "([^"]+)"', asked)
        assert link, asked
        await tab.authorize(link[1])
        done = await tab.until(task["id"], *ENDED)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED", done


async def test_an_exchange_that_nobody_consented_to_is_told_as_that_and_goes_once_they_have(desk: Desk) -> None:
    tokens = await desk.sign_in("bob")
    with pytest.raises(ConsentRequired):
        await desk.exchanged(tokens, by="assistant")
    pending, page = await desk.asked("portfolio:read", by="assistant", who="bob")
    assert "portfolio:read" in page.words()
    answer = await desk.answered(page, accept="Yes")
    assert await desk.redeemed(pending, answer, by="assistant")
    assert (await desk.exchanged(tokens, by="assistant")).scope >= {"portfolio:read"}


async def test_a_no_at_keycloak_is_a_no_here(desk: Desk) -> None:
    tokens = await desk.sign_in("alice")
    pending, page = await desk.asked("portfolio:read", by="assistant")
    answer = await desk.answered(page, cancel="No")
    with pytest.raises(AccessDenied):
        await desk.redeemed(pending, answer, by="assistant")
    with pytest.raises(ConsentRequired):
        await desk.exchanged(tokens, by="assistant")


async def test_consent_is_asked_for_where_it_can_be_only(desk: Desk) -> None:
    await desk.sign_in("alice")
    pending, page = await desk.asked("portfolio:read", by="assistant", prompt="none")
    assert httpx.URL(page.url).params["error"] == "interaction_required"
    with pytest.raises(StepUpRequired):
        await desk.redeemed(pending, page, by="assistant")
