"""Attacks on the authorization endpoint, its pages and its codes, over the wire. Beside the tests of each endpoint."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from stead.identity.samples import ALICE
from stead.identity.server.people import find_person
from stead.identity.server.remembered import remember, remembers
from stead.identity.server.store import Store
from tests.server.admission import metadata_of, register
from tests.server.issuers import ASSERTION, BROKER, PORTFOLIO, WEB
from tests.server.parties import Login, Party, answered, claims_of, form_of
from tests.server.world import Bank, World, payment

CLI = "http://127.0.0.1:7/callback"


def cli(world: World) -> Party:
    return world.party("stead-cli", redirect_uri=CLI, public=True)


# --- PKCE ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize(
    "stripped",
    [("code_challenge",), ("code_challenge_method",), ("code_challenge", "code_challenge_method")],
)
async def test_stripping_the_challenge_downgrades_nobody(world: World, public: bool, stripped: tuple[str, ...]) -> None:
    party = cli(world) if public else world.web
    parameters = Login().parameters(party, "openid broker:ask", BROKER, **dict.fromkeys(stripped))
    async with world.browser() as browser:
        assert answered(await browser.get("/authorize", parameters))["error"] == "invalid_request"


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("verifier", [None, "", "a" * 42, "a" * 129, "ü" * 43, "a b" * 20, "~" * 43 + "/"])
async def test_a_verifier_that_is_none_redeems_nothing(world: World, public: bool, verifier: str | None) -> None:
    party, login = (cli(world) if public else world.web), Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER, party=party)
    form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", party.redirect_uri)]
    given = [] if verifier is None else [("code_verifier", verifier)]
    response = await party.token(*form, *given)
    assert response.status_code == 400, response.text
    assert (await world.redeem(login, code, party=party)).status_code == 400


async def test_the_challenge_itself_is_no_verifier(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    assert (await world.redeem(login, code, ("code_verifier", login.challenge))).status_code == 400


async def test_the_verifier_of_one_login_does_not_redeem_the_code_of_another(world: World) -> None:
    """A code that an attacker injects into another session is of no use there (RFC 9700 s4.5)."""
    victim, attacker = Login(), Login()
    code = await world.code(attacker, "bob", "openid broker:ask", BROKER)
    response = await world.redeem(victim, code)
    assert response.json()["error"] == "invalid_grant"


async def test_of_fifty_redemptions_at_once_one_wins_and_what_it_won_is_taken_back(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    responses = await asyncio.gather(*(world.redeem(login, code) for _ in range(50)))
    won = [response for response in responses if response.status_code == 200]
    assert len(won) == 1
    assert {response.json()["error"] for response in responses if response not in won} == {"invalid_grant"}
    assert not await world.active(won[0].json()["access_token"], "broker")


# --- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "redirect_uri",
    [
        f"{WEB}/callback/../evil",
        f"{WEB}/callback%2e%2e",
        f"{WEB}/callback/%2e%2e/evil",
        f"{WEB}/callback;x",
        f"{WEB}/callback%00",
        f"{WEB}//callback",
        f"{WEB}\\callback",
        f"{WEB}/callback ",
        f"{WEB}/callback\t",
        f"{WEB}.evil.example/callback",
        f"{WEB}@evil.example/callback",
        f"{WEB}/callback?next=https://evil.example",
        "HTTP://127.0.0.10:9000/callback",
        "http://127.0.0.10:09000/callback",
        "http://2130706442:9000/callback",
        "//127.0.0.10:9000/callback",
        "/callback",
        "data:text/html,x",
        "vbscript:x",
        "",
    ],
)
async def test_no_spelling_of_a_redirect_uri_is_followed_but_the_registered_one(
    world: World, redirect_uri: str
) -> None:
    parameters = Login().parameters(world.web, "openid broker:ask", BROKER, redirect_uri=redirect_uri)
    async with world.browser() as browser:
        response = await browser.get("/authorize", parameters)
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_with_two_registered_addresses_none_is_taken_for_granted(world: World) -> None:
    uris = ["http://127.0.0.50:9000/a", "http://127.0.0.50:9000/b"]
    metadata = metadata_of(world.issuer.home.key("two-doors"), client_name="two-doors", redirect_uris=uris)
    await register(world, {**metadata, "grant_types": ["authorization_code"]})
    party = world.party("two-doors")
    async with world.browser() as browser:
        response = await browser.get("/authorize", Login().parameters(party, "openid", redirect_uri=None))
    assert (response.status_code, "location" in response.headers) == (400, False)


async def test_a_code_for_one_address_is_not_redeemed_with_the_other(world: World) -> None:
    uris = ["http://127.0.0.50:9000/a", "http://127.0.0.50:9000/b"]
    metadata = metadata_of(world.issuer.home.key("two-doors"), client_name="two-doors", redirect_uris=uris)
    await register(world, {**metadata, "grant_types": ["authorization_code"]})
    first, login = world.party("two-doors", redirect_uri=uris[0]), Login()
    async with world.browser() as browser:
        page = await browser.get("/authorize", login.parameters(first, "openid profile"))
        page = await browser.sign_in(page, "alice", "alice-demo")
        done = answered(await browser.submit(page, decision="approve") if page.status_code == 200 else page)
    other = world.party("two-doors", redirect_uri=uris[1])
    response = await world.redeem(login, done["code"], ("redirect_uri", uris[1]), party=other)
    assert response.json()["error"] == "invalid_grant"


async def test_a_state_without_end_is_refused_and_not_reflected(world: World) -> None:
    for length, status in ((1_024, 303), (1_025, 400)):
        parameters = Login(state="s" * length).parameters(world.web, "openid nonsense", BROKER)
        async with world.browser() as browser:
            response = await browser.get("/authorize", parameters)
        assert response.status_code == status
        assert ("s" * length in response.headers.get("location", "")) == (status == 303)


async def test_after_a_form_the_browser_is_sent_on_without_it(world: World) -> None:
    """303 and never 307, which would carry the password on to the client (RFC 9700 s4.12)."""
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(world.web, "openid broker:ask", BROKER))
        action, fields = form_of(page)
        form = {**fields, "username": "alice", "password": "alice-demo"}
        response = await browser.http.post(
            world.issuer.url + action, data=form, headers={"origin": world.issuer.url}, follow_redirects=False
        )
    assert response.status_code == 303


@pytest.mark.parametrize("path", ["/par", "/revoke", "/introspect", "/login", "/consent", "/logout", "/token"])
@pytest.mark.parametrize("name", ["client_id", "token", "interaction", "csrf", "client_assertion", "redirect_uri"])
async def test_a_repeated_parameter_is_refused_at_every_endpoint(world: World, path: str, name: str) -> None:
    response = await world.web.send(path, [(name, "a"), (name, "b"), *world.web.authentication()])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/logout"])
async def test_a_repeated_parameter_is_refused_on_every_page(world: World, path: str) -> None:
    response = await world.http.get(f"{world.issuer.url}{path}?interaction=a&interaction=b")
    assert response.status_code == 400


# --- clients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        [("client_secret", "x")],
        [("client_id", "finport-web")],
        [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")],
    ],
)
async def test_a_second_way_to_say_who_one_is_is_refused(world: World, more: list[tuple[str, str]]) -> None:
    names = {name for name, _ in more}
    form = [pair for pair in world.broker.authentication() if pair[0] not in names]
    response = await world.broker.send("/token", [("grant_type", "client_credentials"), *form, *more])
    assert response.json()["error"] == "invalid_client"


async def test_a_secret_in_the_address_or_in_basic_form_is_refused(world: World) -> None:
    form = "grant_type=client_credentials"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    url = f"{world.issuer.url}/token"
    in_address = await world.http.post(f"{url}?client_id=broker&client_secret=x", content=form, headers=kind)
    assert in_address.status_code == 400
    basic = await world.http.post(url, content=form, headers={**kind, "authorization": "Basic YnJva2VyOng="})
    assert basic.json()["error"] == "invalid_client"


async def test_an_access_token_or_id_token_is_no_client_assertion(world: World) -> None:
    tokens = await world.login()
    own = await world.service("broker", world.issuer.url, "edges:read")
    for token in (tokens["access_token"], tokens["id_token"], own):
        form = [("client_assertion_type", ASSERTION), ("client_assertion", token)]
        response = await world.broker.send("/token", [("grant_type", "client_credentials"), *form])
        assert response.json()["error"] == "invalid_client"


async def test_a_client_assertion_is_no_access_token(world: World) -> None:
    posing: dict[str, Any] = {"client_id": "broker", "scope": "edges:read"}
    for claims in ({}, posing):
        headers = {"authorization": f"Bearer {world.broker.assertion(**claims)}"}
        for path in ("/userinfo", "/edges"):
            assert (await world.http.get(world.issuer.url + path, headers=headers)).status_code == 401


# --- consent -------------------------------------------------------------------------------------------------------


async def third_party(world: World, name: str) -> Party:
    uri = f"http://127.0.0.50:9000/{name}"
    metadata = metadata_of(world.issuer.home.key(name), client_name=name, redirect_uris=[uri])
    await register(world, {**metadata, "grant_types": ["authorization_code"]})
    return world.party(name, redirect_uri=uri)


async def test_a_consent_to_one_client_is_none_to_another(world: World) -> None:
    """The confused deputy of the MCP guide: a cookie that says "consented" must not serve the next client."""
    first, second = await third_party(world, "kind-client"), await third_party(world, "mean-client")
    async with world.browser() as browser:
        page = await browser.get("/authorize", Login().parameters(first, "openid profile"))
        page = await browser.sign_in(page, "alice", "alice-demo")
        assert "code" in answered(await browser.submit(page, decision="approve"))
        asked = await browser.get("/authorize", Login().parameters(second, "openid profile"))
        assert "Allow mean-client?" in asked.text
        silent = await browser.get("/authorize", Login().parameters(second, "openid profile", prompt="none"))
        assert answered(silent)["error"] == "consent_required"


async def test_a_consent_of_one_person_is_none_of_another(world: World) -> None:
    client = await third_party(world, "one-of-many")
    for username in ("alice", "bob"):
        async with world.browser() as browser:
            page = await browser.get("/authorize", Login().parameters(client, "openid profile"))
            page = await browser.sign_in(page, username, f"{username}-demo")
            assert "Allow one-of-many?" in page.text
            answered(await browser.submit(page, decision="approve"))


def asked(*resources: str) -> Any:
    """As much of an authorization request as a remembered consent is about."""
    client = SimpleNamespace(client_id="word-client")
    return SimpleNamespace(client=client, scopes=("things:read",), resources=resources)


async def test_a_consent_at_one_audience_is_none_at_another_of_the_same_word(world: World) -> None:
    store = Store(world.issuer.settings.path)
    with store.transaction():
        alice = find_person(store, "alice")
        assert alice is not None
        given = asked(PORTFOLIO)
        remember(store, alice, given)
        assert remembers(store, alice, given)
        for resources in ((BROKER,), (PORTFOLIO, BROKER), ()):
            assert not remembers(store, alice, asked(*resources))
    store.close()


async def test_what_one_person_s_sign_in_settled_is_asked_again_of_the_next(northbank: Bank) -> None:
    """Another person signs in beside an open page: the page was for whom the client named, and asks again."""
    async with northbank.browser() as browser:
        link = await northbank.link(Login(), payment(), login_hint=ALICE.bank_subject)
        page = await browser.sign_in(await browser.get("/authorize", link), "alice", "alice-bank")
        interaction = form_of(page)[1]["interaction"]
        beside = await browser.get("/authorize", await northbank.link(Login(), payment(), prompt="login"))
        await browser.sign_in(beside, "bob", "bob-bank")
        opened = await browser.get(f"/consent?interaction={interaction}")
        assert re.search(r'name="password"', opened.text)
        assert (await browser.submit(page, decision="approve", debtor=ALICE.accounts[0].iban)).status_code == 403


async def test_a_form_without_origin_or_from_a_sandbox_is_refused(northbank: Bank) -> None:
    for origin in (None, "null", "https://evil.example", f"{northbank.issuer.url}/", northbank.issuer.url.upper()):
        async with northbank.browser() as browser:
            page = await northbank.consent_page(browser, Login(), payment())
            response = await browser.submit(page, origin, decision="approve", debtor=ALICE.accounts[0].iban)
        assert response.status_code == 403


# --- pushed requests, tokens and metadata --------------------------------------------------------------------------


async def test_a_pushed_request_points_nowhere_itself(northbank: Bank) -> None:
    for uri in ("http://169.254.169.254/", "urn:ietf:params:oauth:request_uri:other"):
        response = await northbank.push(Login(), payment(), request_uri=uri)
        assert response.status_code == 400, response.text


async def test_of_parallel_uses_of_a_pushed_request_one_opens(northbank: Bank) -> None:
    link = await northbank.link(Login(), payment())

    async def follow() -> int:
        async with northbank.browser() as browser:
            return (await browser.get("/authorize", link)).status_code

    assert sorted(await asyncio.gather(*(follow() for _ in range(10)))) == [200] + [400] * 9


async def test_a_refresh_never_widens_the_audience_and_cascades_to_what_was_exchanged(world: World) -> None:
    wider = [("grant_type", "refresh_token"), ("refresh_token", (await world.login())["refresh_token"])]
    assert (await world.web.token(*wider, ("resource", PORTFOLIO))).json()["error"] == "invalid_target"
    tokens = await world.login()
    exchanged = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
    form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"])]
    fresh = (await world.web.token(*form)).json()
    assert claims_of(fresh["access_token"])["aud"] == BROKER
    assert (await world.web.token(*form)).json()["error"] == "invalid_grant"
    for token, who in ((exchanged, "portfolio-agent"), (fresh, "broker")):
        assert not await world.active(token["access_token"], who)


async def test_a_forged_client_address_in_metadata_or_a_client_id_that_is_one_is_not_fetched(world: World) -> None:
    """Client ID metadata documents are not supported: a URL as client_id is an unknown client, and nothing else."""
    for client_id in ("https://evil.example/client", "http://169.254.169.254/latest", "file:///etc/passwd"):
        parameters = Login().parameters(world.web, "openid broker:ask", BROKER, client_id=client_id)
        async with world.browser() as browser:
            response = await browser.get("/authorize", parameters)
        assert (response.status_code, "location" in response.headers) == (400, False)


async def test_what_is_public_may_be_cached_and_holds_nothing_private(world: World) -> None:
    for path in ("/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        response: httpx.Response = await world.http.get(world.issuer.url + path)
        assert "max-age" in response.headers["cache-control"]
        assert not re.search(r'"(d|p|q|dp|dq|qi|k)":', response.text)
