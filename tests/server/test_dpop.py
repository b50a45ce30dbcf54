"""Tokens bound to a key at the issuer (RFC 9449): who proves a key gets a token for it, and bound stays bound."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from stead.identity.dpop import sign_proof
from stead.identity.driver import drive
from stead.identity.egress import shown
from stead.identity.errors import GrantRefused
from stead.identity.flows import ClientIdentity, begin, discover, s2s
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.pushed_authorization import push
from stead.identity.home import Home
from stead.identity.values import AccessToken, BoundToken
from tests.server.issuers import BROKER, HOLDINGS, PORTFOLIO, WEB, corporate_seed, issuer_of
from tests.server.parties import Login, Party, claims_of
from tests.server.world import World

KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")


def error_of(response: httpx.Response) -> str:
    assert response.status_code == 400, response.text
    return str(response.json()["error"])


def with_key(party: Party, key: ECKey | None = KEY) -> Party:
    return replace(party, proof_key=key)


async def bound_login(world: World, key: ECKey = KEY) -> dict[str, Any]:
    login = Login()
    code = await world.code(login, "alice", "openid profile broker:ask", BROKER)
    response = await world.redeem(login, code, party=with_key(world.web, key))
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_login_with_a_proof_gives_a_token_bound_to_the_key(world: World) -> None:
    body = await bound_login(world)
    assert body["token_type"] == "DPoP"
    assert claims_of(body["access_token"])["cnf"] == {"jkt": KEY.thumbprint()}


async def test_without_a_proof_a_token_is_a_bearer_token(world: World) -> None:
    body = await world.login()
    assert body["token_type"] == "Bearer"
    assert "cnf" not in claims_of(body["access_token"])


async def test_a_service_token_is_bound_too(world: World) -> None:
    form = [("grant_type", "client_credentials"), ("resource", HOLDINGS), ("scope", "tools:list")]
    body = (await with_key(world.broker).token(*form)).json()
    assert (body["token_type"], claims_of(body["access_token"])["cnf"]["jkt"]) == ("DPoP", KEY.thumbprint())


async def test_a_renewed_token_is_bound_to_the_key_of_its_request(world: World) -> None:
    first = await bound_login(world)
    form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"])]
    body = (await with_key(world.web, OTHER).token(*form)).json()
    assert claims_of(body["access_token"])["cnf"]["jkt"] == OTHER.thumbprint()


async def test_bound_stays_bound_through_an_exchange_and_to_the_next_key(world: World) -> None:
    subject = (await bound_login(world))["access_token"]
    target = [("resource", PORTFOLIO), ("scope", "portfolio:read")]
    refused = await world.broker.exchange(subject, *target)
    assert (error_of(refused), "bound" in refused.json()["error_description"]) == ("invalid_request", True)
    body = (await with_key(world.broker, OTHER).exchange(subject, *target)).json()
    assert (body["token_type"], claims_of(body["access_token"])["cnf"]["jkt"]) == ("DPoP", OTHER.thumbprint())


async def test_a_replayed_proof_gives_nothing(world: World) -> None:
    party = world.broker
    proof = sign_proof(KEY, "POST", f"{world.issuer.url}/token", world.issuer.clock())
    answers = []
    for _ in range(2):
        form = {"grant_type": "client_credentials", "resource": HOLDINGS, "scope": "tools:list"}
        form |= dict(party.authentication())
        answers.append(await world.http.post(f"{world.issuer.url}/token", data=form, headers={"dpop": proof}))
    assert answers[0].status_code == 200
    assert error_of(answers[1]) == "invalid_dpop_proof"


@pytest.mark.parametrize("bad", ["x", "", "a.b.c"])
async def test_what_is_no_proof_is_refused(world: World, bad: str) -> None:
    form = {"grant_type": "client_credentials", "resource": HOLDINGS, **dict(world.broker.authentication())}
    answer = await world.http.post(f"{world.issuer.url}/token", data=form, headers={"dpop": bad})
    assert error_of(answer) == "invalid_dpop_proof"


async def test_a_proof_for_another_endpoint_or_time_is_refused(world: World) -> None:
    now = world.issuer.clock()
    for url, when in ((f"{world.issuer.url}/par", now), ("http://elsewhere/token", now), (None, now - 300)):
        proof = sign_proof(KEY, "POST", url or f"{world.issuer.url}/token", when)
        form = {"grant_type": "client_credentials", "resource": HOLDINGS, **dict(world.broker.authentication())}
        answer = await world.http.post(f"{world.issuer.url}/token", data=form, headers={"dpop": proof})
        assert error_of(answer) == "invalid_dpop_proof"


async def test_two_proofs_are_refused(world: World) -> None:
    proofs = [("dpop", sign_proof(KEY, "POST", f"{world.issuer.url}/token", time.time())) for _ in range(2)]
    form = {"grant_type": "client_credentials", **dict(world.broker.authentication())}
    assert error_of(await world.http.post(f"{world.issuer.url}/token", data=form, headers=proofs)) == "invalid_request"


async def test_a_code_that_was_bound_is_redeemed_with_its_key_only(world: World) -> None:
    for party, code_is_good in ((with_key(world.web, OTHER), False), (world.web, False), (with_key(world.web), True)):
        login = Login()
        code = await world.code(login, "alice", "openid broker:ask", BROKER, dpop_jkt=KEY.thumbprint())
        response = await world.redeem(login, code, party=party)
        assert (response.status_code == 200) is code_is_good, response.text
        if not code_is_good:
            assert error_of(response) == "invalid_grant"


async def test_a_proof_with_a_pushed_request_binds_its_code(world: World) -> None:
    login = Login()
    form = login.parameters(world.web, "openid broker:ask", BROKER)
    pushed = await with_key(world.web).post("/par", *form)
    assert pushed.status_code == 201, pushed.text
    clash = await with_key(world.web).post("/par", *form, ("dpop_jkt", OTHER.thumbprint()))
    assert error_of(clash) == "invalid_dpop_proof"


async def test_introspection_tells_the_binding_to_the_audience(world: World) -> None:
    token = (await bound_login(world))["access_token"]
    said = (await world.broker.post("/introspect", ("token", token))).json()
    assert (said["token_type"], said["cnf"]) == ("DPoP", {"jkt": KEY.thumbprint()})


async def test_the_issuer_itself_takes_a_bound_token_with_its_proof_only(world: World) -> None:
    login = Login()
    code = await world.code(login, "alice", "openid profile")
    text = (await world.redeem(login, code, party=with_key(world.web))).json()["access_token"]
    url = f"{world.issuer.url}/userinfo"
    for headers in (
        {"authorization": f"Bearer {text}"},
        {"authorization": f"DPoP {text}"},
        shown(BoundToken(text, OTHER), "GET", url),
        shown(BoundToken(text, KEY), "POST", url),
        {**shown(BoundToken(text, KEY), "GET", url), "authorization": f"Bearer {text}"},
    ):
        assert (await world.http.get(url, headers=headers)).status_code in {400, 401}
    assert (await world.http.get(url, headers=shown(BoundToken(text, KEY), "GET", url))).status_code == 200
    bearer = AccessToken(
        (await world.redeem(login, await world.code(login, "alice", "openid profile"))).json()["access_token"]
    )
    assert (await world.http.get(url, headers=shown(bearer, "GET", url))).status_code == 200


async def test_the_metadata_names_the_algorithms(world: World) -> None:
    document = (await world.http.get(f"{world.issuer.url}/.well-known/oauth-authorization-server")).json()
    assert "ES256" in document["dpop_signing_alg_values_supported"]


async def test_an_issuer_that_wants_a_nonce_gives_one_and_takes_it_with_a_new_assertion(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    home = Home(tmp_path / "home")
    seeded = lambda url: corporate_seed(home, url)  # noqa: E731
    async with issuer_of(home, "corporate", "FinPort", seeded, proof_nonces=True) as issuer:
        client = ClientIdentity("broker", home.key("broker"), issuer.url).proving(KEY)
        metadata = await drive(discover(issuer.url), http)
        flow = s2s(client, metadata, audience=HOLDINGS, scopes=["tools:list"], now=issuer.clock())
        assert isinstance((await drive(with_nonce(flow, issuer.clock), http)).access_token, BoundToken)
        web = ClientIdentity("finport-web", home.key("finport-web"), issuer.url).proving(KEY)
        begun = begin(web, metadata, redirect_uri=f"{WEB}/callback", scopes=["openid"])
        pushed = await drive(with_nonce(push(web, metadata, begun, now=issuer.clock()), issuer.clock), http)
        assert "request_uri=" in pushed.url
        with pytest.raises(GrantRefused) as refused:
            await drive(s2s(client, metadata, audience=HOLDINGS, scopes=[], now=issuer.clock()), http)
        assert refused.value.details["error"] == "use_dpop_nonce"


async def test_proofs_of_anybody_are_forgotten_as_soon_as_they_ran_out(world: World) -> None:
    """Whoever has no client can still make proofs: they do not pile up."""
    issuer = world.issuer
    url = f"{issuer.url}/token"

    def kept() -> int:
        with closing(sqlite3.connect(issuer.settings.path)) as database:
            return int(database.execute("SELECT count(*) FROM spent_proofs").fetchone()[0])

    for _ in range(5):
        proof = sign_proof(ECKey.generate_key("P-256"), "POST", url, issuer.clock())
        await world.http.post(url, data={"grant_type": "client_credentials"}, headers={"dpop": proof})
    assert kept() >= 5
    issuer.clock.ahead = 200
    await world.http.post(url, data={"grant_type": "client_credentials"})
    assert kept() == 0
