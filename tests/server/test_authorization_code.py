"""Authorization code with PKCE at a live issuer, and the attacks of RFC 9700 on it."""

import asyncio

import pytest

from tests.server.issuers import BROKER, PORTFOLIO, WEB
from tests.server.parties import Login, answered, claims_of
from tests.server.world import World


async def start(world: World, login: Login, **more: str | None) -> tuple[int, str, str]:
    """Status, text and location of what a browser gets for an authorization request."""
    async with world.browser() as browser:
        response = await browser.get("/authorize", login.parameters(world.web, "openid broker:ask", BROKER, **more))
        return response.status_code, response.text, response.headers.get("location", "")


async def test_a_login_gives_tokens_that_follow_the_profile(world: World) -> None:
    tokens = await world.login("carol")
    access, identity = claims_of(tokens["access_token"]), claims_of(tokens["id_token"])
    assert access["aud"] == BROKER
    assert access["sub"] == "carol"
    assert access["scope"] == "broker:ask" == tokens["scope"]
    assert access["exp"] - access["iat"] == 300
    assert access["transfer_limit"] == {"amount": "1000.00", "currency": "EUR"}
    assert access["acr"] == identity["acr"] == "urn:stead:acr:pwd"
    assert access["sid"] == identity["sid"]
    assert identity["aud"] == "finport-web"
    assert "act" not in access


async def test_scopes_that_the_person_lacks_are_left_out(world: World) -> None:
    tokens = await world.login("alice", "openid broker:ask registry:admin")
    assert tokens["scope"] == "broker:ask"


async def test_a_person_who_is_entitled_to_nothing_there_gets_no_token(world: World) -> None:
    login = Login()
    response = await world.redeem(login, await world.code(login, "admin", "openid broker:ask", BROKER))
    assert response.json()["error"] == "invalid_scope"
    assert "Ada Okafor" in response.json()["error_description"]


async def test_without_a_resource_the_token_is_for_the_issuer_and_opens_userinfo(world: World) -> None:
    login = Login()
    tokens = (await world.redeem(login, await world.code(login, "alice", "openid profile"))).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    response = await world.http.get(world.issuer.url + "/userinfo", headers=headers)
    assert response.json() == {"sub": "alice", "name": "Alice Moreau", "preferred_username": "alice"}


async def test_userinfo_refuses_a_token_for_another_audience(world: World) -> None:
    headers = {"authorization": f"Bearer {(await world.login())['access_token']}"}
    response = await world.http.get(world.issuer.url + "/userinfo", headers=headers)
    assert response.status_code == 401
    assert "invalid_token" in response.headers["www-authenticate"]


async def test_the_resource_at_the_token_endpoint_selects_the_audience(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask portfolio:read", BROKER, PORTFOLIO)
    tokens = (await world.redeem(login, code, ("resource", PORTFOLIO))).json()
    assert claims_of(tokens["access_token"])["aud"] == PORTFOLIO
    assert tokens["scope"] == "portfolio:read"


async def test_an_issuers_own_right_needs_the_issuer_as_a_resource(world: World) -> None:
    login = Login()
    code = await world.code(login, "admin", "openid registry:admin", BROKER)
    tokens = (await world.redeem(login, code, ("resource", world.issuer.url))).json()
    assert tokens["scope"] == "openid"


async def test_a_resource_that_the_login_did_not_cover_is_refused(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    assert (await world.redeem(login, code, ("resource", PORTFOLIO))).json()["error"] == "invalid_target"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 200},
    ],
)
async def test_no_pkce_or_a_weak_one_is_refused(world: World, changes: dict[str, str | None]) -> None:
    status, _, location = await start(world, Login(), **changes)
    assert status == 303
    assert location.startswith(f"{WEB}/callback?error=invalid_request")


async def test_every_response_names_the_issuer_and_echoes_the_state_exactly(world: World) -> None:
    login = Login(state="a b+c&d=é/%20")
    async with world.browser() as browser:
        page = await browser.get("/authorize", login.parameters(world.web, "openid broker:ask", BROKER))
        done = answered(await browser.sign_in(page, "alice", "alice-demo"))
        failed = answered(await browser.get("/authorize", login.parameters(world.web, "openid nonsense", BROKER)))
    assert done["state"] == failed["state"] == login.state
    assert done["iss"] == failed["iss"] == world.issuer.url
    assert failed["error"] == "invalid_scope"
    assert "hint" not in failed


@pytest.mark.parametrize("verifier", ["", "x" * 43, "short", "ü" * 50])
async def test_a_wrong_code_verifier_is_refused_and_the_code_stays_spent(world: World, verifier: str) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    assert (await world.redeem(login, code, ("code_verifier", verifier))).status_code == 400
    assert (await world.redeem(login, code)).json()["error"] == "invalid_grant"


async def test_a_replayed_code_revokes_everything_issued_from_it(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    tokens = (await world.redeem(login, code)).json()
    exchanged = await world.obo(tokens["access_token"], PORTFOLIO, "portfolio:read")
    assert await world.active(exchanged["access_token"], "portfolio-agent")
    replay = await world.redeem(login, code)
    assert replay.json()["error"] == "invalid_grant"
    assert not await world.active(tokens["access_token"], "broker")
    assert not await world.active(exchanged["access_token"], "portfolio-agent")
    refreshed = await world.web.token(("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]))
    assert refreshed.json()["error"] == "invalid_grant"


async def test_of_parallel_redemptions_exactly_one_wins(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    responses = await asyncio.gather(*(world.redeem(login, code) for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [200] + [400] * 7


async def test_a_code_is_not_redeemed_by_another_client(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    stolen = await world.redeem(login, code, party=world.party("transfer-agent"))
    assert stolen.json()["error"] == "invalid_grant"
    assert (await world.redeem(login, code)).status_code == 200


async def test_a_code_is_not_redeemed_at_another_redirect_uri(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    response = await world.redeem(login, code, ("redirect_uri", f"{WEB}/other"))
    assert response.json()["error"] == "invalid_grant"


async def test_an_expired_code_is_refused(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER)
    world.issuer.clock.ahead = 61
    assert (await world.redeem(login, code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        f"{WEB}/callback/",
        f"{WEB}/callback?x=1",
        f"{WEB}/callback#x",
        f"{WEB}/%63allback",
        f"{WEB}/CALLBACK",
        "http://127.0.0.10:9001/callback",
        "http://user@127.0.0.10:9000/callback",
        "http://localhost:9000/callback",
        "https://evil.example/callback",
        "javascript:alert(1)",
        'x"y\\zé',
    ],
)
async def test_a_redirect_uri_that_is_not_exactly_registered_is_never_followed(
    world: World, redirect_uri: str | None
) -> None:
    status, text, location = await start(world, Login(), redirect_uri=redirect_uri)
    assert status == 400
    assert location == ""
    assert "This did not work" in text


async def test_an_unknown_client_is_never_redirected(world: World) -> None:
    status, _, location = await start(world, Login(), client_id="nobody")
    assert (status, location) == (400, "")


@pytest.mark.parametrize("host", ["127.0.0.1:51234", "127.0.0.1:1", "127.0.0.1"])
async def test_the_public_command_line_may_listen_on_any_loopback_port(world: World, host: str) -> None:
    party = world.party("stead-cli", redirect_uri=f"http://{host}/callback", public=True)
    login = Login()
    code = await world.code(login, "alice", "openid broker:ask", BROKER, party=party)
    assert (await world.redeem(login, code, party=party)).status_code == 200


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:5/other",
        "http://127.0.0.2:5/callback",
        "http://localhost:5/callback",
        "https://127.0.0.1:5/callback",
        "http://x@127.0.0.1:5/callback",
        "http://127.0.0.1:5/callback?x",
        "http://127.0.0.1:99999/callback",
    ],
)
async def test_the_public_command_line_gets_no_other_address(world: World, redirect_uri: str) -> None:
    party = world.party("stead-cli", redirect_uri=redirect_uri, public=True)
    async with world.browser() as browser:
        response = await browser.get("/authorize", Login().parameters(party, "openid broker:ask", BROKER))
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "nonce"])
async def test_a_repeated_parameter_is_refused_and_not_redirected(world: World, name: str) -> None:
    login = Login()
    parameters = login.parameters(world.web, "openid broker:ask", BROKER)
    async with world.browser() as browser:
        response = await browser.get("/authorize", [*parameters, (name, dict(parameters)[name])])
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"claims": '{"id_token":{"acr":{"essential":true}}}'}, "invalid_request"),
        ({"acr_values": "urn:elsewhere:gold"}, "unmet_authentication_requirements"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"authorization_details": "[{}]"}, "invalid_authorization_details"),
    ],
)
async def test_an_unacceptable_request_is_answered_to_the_client(
    world: World, changes: dict[str, str], error: str
) -> None:
    status, _, location = await start(world, Login(), **changes)
    assert status == 303
    assert f"error={error}&" in location


@pytest.mark.parametrize("value", ['"', "\\", "é", "x" * 600])
async def test_an_odd_response_type_breaks_nothing(world: World, value: str) -> None:
    status, _, _ = await start(world, Login(), response_type=value)
    assert status == 400


async def test_an_external_request_uri_is_never_fetched(world: World) -> None:
    status, text, location = await start(world, Login(), request_uri="http://169.254.169.254/latest/meta-data")
    assert (status, location) == (400, "")
    assert "invalid_request_uri" in text


async def test_a_session_answers_silently_until_it_is_too_old_or_another_person_is_wanted(world: World) -> None:
    async with world.browser() as browser:

        async def authorize(**more: str) -> dict[str, str]:
            login = Login()
            return answered(await browser.get("/authorize", login.parameters(world.web, "openid", BROKER, **more)))

        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER))
        await browser.sign_in(page, "alice", "alice-demo")
        assert "code" in await authorize()
        assert "code" in await authorize(prompt="none", login_hint="alice", max_age="1000")
        assert (await authorize(prompt="none", login_hint="bob"))["error"] == "login_required"
        world.issuer.clock.ahead = 100
        assert (await authorize(prompt="none", max_age="10"))["error"] == "login_required"
        page = await browser.get("/authorize", Login().parameters(world.web, "openid", BROKER, prompt="login"))
        assert 'action="/login"' in page.text
        assert "code" in answered(await browser.sign_in(page, "alice", "alice-demo"))
