"""How things end at a real Keycloak: sign-out, revocation, refresh tokens that were used, and each way it says no."""

import asyncio
from dataclasses import replace

import pytest

from stead.identity.clock import system_clock
from stead.identity.driver import drive
from stead.identity.errors import (
    AccessDenied,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    ProviderUnavailable,
)
from stead.identity.flows.revocation import revoke
from stead.identity.flows.wire import TokenSet
from tests.providers.conftest import Elsewhere
from tests.providers.desk import Desk
from tests.providers.keycloak import available
from tests.providers.tab import signed_in, taken

pytestmark = [
    pytest.mark.skipif(not available(), reason="Keycloak is not installed: run `make test`"),
    pytest.mark.timeout(500),
]


async def is_over(desk: Desk, tokens: TokenSet) -> None:
    """Neither half of a login gets anything more."""
    with pytest.raises(InvalidGrant):
        await desk.renewed(tokens.refresh_token)
    with pytest.raises(InvalidGrant):
        await desk.exchanged(tokens)


async def test_a_refresh_token_is_good_once_and_a_thief_who_uses_it_again_ends_the_login(desk: Desk) -> None:
    first = await desk.sign_in()
    second = await desk.renewed(first.refresh_token)
    assert second.refresh_token is not None
    assert second.refresh_token != first.refresh_token
    assert await desk.exchanged(second)
    with pytest.raises(InvalidGrant):
        await desk.renewed(first.refresh_token)
    await is_over(desk, second)


async def test_a_login_whose_refresh_token_was_revoked_goes_no_further(desk: Desk) -> None:
    tokens = await desk.sign_in()
    assert await desk.exchanged(tokens)
    assert tokens.refresh_token is not None
    flow = revoke(desk.client("finport-web"), desk.metadata, tokens.refresh_token, now=system_clock())
    await drive(flow, desk.open_.bare)
    await is_over(desk, tokens)


async def test_a_person_who_signs_out_at_keycloak_is_signed_out_of_the_network(desk: Desk) -> None:
    tokens = await desk.sign_in()
    assert await desk.exchanged(tokens)
    done = await desk.sign_out()
    assert (done.status_code, done.headers["location"]) == (302, f"{desk.front}/?state=s1")
    await is_over(desk, tokens)


async def test_a_sign_out_does_not_lead_to_a_strangers_page(desk: Desk) -> None:
    await desk.sign_in()
    assert desk.metadata.end_session_endpoint is not None
    asked = {"client_id": "finport-web", "post_logout_redirect_uri": "https://evil.example/"}
    page = await desk.browser.get(desk.metadata.end_session_endpoint, params=asked)
    assert (page.status_code, page.headers.get("location")) == (400, None)


@pytest.mark.parametrize(
    ("by", "audience", "scope", "kind"),
    [
        ("broker", "portfolio-agent", "no:such", InvalidScope),
        ("broker", "holdings-mcp", "holdings:read", InvalidScope),
        ("broker", "nobody", "portfolio:read", InvalidTarget),
        ("broker", "transfer-agent", "portfolio:read", InvalidTarget),
        ("portfolio-agent", "holdings-mcp", "holdings:read", AccessDenied),
    ],
    ids=[
        "a scope nobody has",
        "another's scope",
        "no such target",
        "a target the scope is not for",
        "a token not for it",
    ],
)
async def test_a_no_of_keycloak_is_one_of_ours(
    desk: Desk, by: str, audience: str, scope: str, kind: type[IdentityError]
) -> None:
    tokens = await desk.sign_in()
    with pytest.raises(IdentityError) as refused:
        await desk.exchanged(tokens, audience, scope, by=by)
    assert type(refused.value) is kind
    assert "eyJ" not in str(refused.value)


async def test_a_keycloak_that_is_not_there_is_down_and_refuses_nobody(desk: Desk) -> None:
    tokens = await desk.sign_in()
    assert desk.metadata.token_endpoint is not None
    gone = replace(desk.metadata, token_endpoint=desk.metadata.token_endpoint.replace("127.0.0.13", "127.0.0.113"))
    with pytest.raises(ProviderUnavailable):
        await desk.exchanged(tokens, at=gone)
    assert await desk.exchanged(tokens)


async def test_a_sign_out_at_keycloak_closes_the_page_and_every_door_within_seconds(
    desk: Desk, elsewhere: Elsewhere
) -> None:
    """Keycloak posts a logout token of its own to the page, as the realm that we wrote has it."""
    urls = elsewhere.finport.urls
    async with signed_in(elsewhere, "alice") as tab, signed_in(elsewhere, "bob") as bystander:
        desk.browser = tab.http
        tokens = await desk.sign_in()
        exchanged = await desk.exchanged(tokens)
        doors = {urls["broker"]: tokens.access_token, urls["agents"]["portfolio"]: exchanged.access_token}
        assert [await taken(url, token) for url, token in doors.items()] == [True, True]
        assert (await desk.sign_out()).status_code == 302
        async with asyncio.timeout(5):
            while any([await taken(url, token) for url, token in doors.items()]):
                await asyncio.sleep(0.1)
        assert (await tab.http.get(f"{tab.web}/session")).status_code == 401
        assert (await bystander.http.get(f"{tab.web}/session")).status_code == 200
