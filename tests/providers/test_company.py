"""FinPort on npm's oidc-provider, with a token exchange of the test's own writing: by `stead.yaml` alone."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import yaml
from joserfc.jwk import ECKey

from stead.demo.cli.browser import Browser
from stead.demo.network.addresses import network_of
from stead.demo.network.providers import corporate_seed
from stead.identity.driver import drive
from stead.identity.egress import Target
from stead.identity.flows import begin, redeem, validate_callback
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.home import Home, public_jwk
from stead.identity.samples import PERSONS
from stead.identity.server import CODE, Seed, SeedClient
from stead.identity.values import AccessToken, Grant
from stead.identity.workload import Workload
from tests.journeys.finport import start_network, stop_network
from tests.providers.conftest import Elsewhere
from tests.providers.oidc_provider import available, free_issuer, oidc_provider, walk
from tests.providers.tab import Tab, csrf_of, taken

pytestmark = [
    pytest.mark.skipif(not available(), reason="oidc-provider is not installed: run `make test`"),
    pytest.mark.timeout(120),
]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@pytest.fixture(scope="module")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("company")
    home, issuer = Home(folder / "home"), free_issuer("127.0.0.15")
    network = network_of(home)
    told = company(corporate_seed(home, network, issuer), issuer)
    settings = {"issuer": issuer, "issuers": [{"issuer": issuer, "backchannel_logout": True}]}
    (home.path / "stead.yaml").write_text(yaml.safe_dump(settings))
    async with oidc_provider("company.mjs", told, folder / "company.log"):
        finport = start_network(home.path)
        try:
            yield Elsewhere(issuer, finport)
        finally:
            stop_network(finport)


def company(seed: Seed, issuer: str) -> dict[str, Any]:
    """What the embedded provider is seeded with, as the foreign one wants to be told."""
    key = ECKey.generate_key("P-256", {"kid": "company-1", "alg": "ES256", "use": "sig"})
    rights = {scope: roles for one in seed.audiences for scope, roles in one.scopes.items() if one.client_id}
    return {
        "issuer": issuer,
        "keys": {"keys": [key.as_dict(private=True)]},
        "clients": [client_of(client) for client in seed.clients if client.key],
        "people": {
            person.username: {"name": person.name, "roles": person.roles, "claims": claims_of(person)}
            for person in PERSONS
        },
        "rights": rights,
        "edges": edges_of(seed),
        "audiences": {one.client_id: one.audience for one in seed.audiences if one.client_id},
    }


def client_of(client: SeedClient) -> dict[str, Any]:
    assert client.key is not None
    signing_in = ["authorization_code", "refresh_token"] if CODE in client.grants else []
    door = {"backchannel_logout_uri": urljoin(client.redirect_uris[0], "/backchannel-logout")} if signing_in else {}
    return {
        "client_id": client.client_id,
        "jwks": {"keys": [public_jwk(client.key)]},
        "redirect_uris": list(client.redirect_uris),
        "grant_types": [*signing_in, "client_credentials", EXCHANGE],
        **door,
    }


def claims_of(person: Any) -> dict[str, Any]:
    limit = person.transfer_limit
    told = {} if limit is None else {"transfer_limit": {"amount": str(limit), "currency": "EUR"}}
    return {"name": person.name, "roles": list(person.roles), **told}


def edges_of(seed: Seed) -> Mapping[str, Mapping[str, list[str]]]:
    """Administration stays at the embedded provider, so nobody signs in for it here."""
    edges: dict[str, dict[str, list[str]]] = {}
    for edge in seed.edges:
        wanted = [scope for scope in edge.scopes if scope not in ("registry:admin", "audit:read")]
        for name in [one.client_id for one in seed.clients] if edge.client_id == "*" else [edge.client_id]:
            edges.setdefault(name, {}).setdefault(edge.audience, []).extend(wanted)
    return edges


@asynccontextmanager
async def signed_in(elsewhere: Elsewhere, name: str) -> AsyncIterator[Tab]:
    """From our front page through the foreign provider's forms and back."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        page = await walk(http, f"{elsewhere.finport.urls['web']}/login", name)
        yield Tab(elsewhere, http, Browser(http, {}), csrf_of(page.text))


async def test_a_person_signs_in_and_every_hop_is_exchanged_there(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("Show my portfolio")
        hops = await tab.trail(task["id"], 3)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [(hop["caller"], hop["grant"], hop["sub"], hop["iss"]) for hop in hops] == [
        ("finport-web", "login", "alice", elsewhere.issuer),
        ("broker", "obo", "alice", elsewhere.issuer),
        ("portfolio-agent", "obo", "alice", elsewhere.issuer),
    ]
    assert [hop["chain_from"] for hop in hops[1:]] == ["token", "token"]
    assert hops[2]["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}


async def test_services_answer_by_their_own_tokens_of_it(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "bob") as tab:
        task = await tab.ask("How will AAPL trend?")
        hops = await tab.trail(task["id"], 3)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert {(hop["grant"], hop["iss"]) for hop in hops[1:]} == {("s2s", elsewhere.issuer)}


async def test_a_role_that_the_person_lacks_there_is_refused_in_words(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "bob") as tab:
        task = await tab.ask("Transfer 4 EUR to Bob's savings")
    assert task["status"]["state"] == "TASK_STATE_REJECTED"
    assert "transfer:create" in json.dumps(task["status"])


async def test_a_call_with_effects_goes_by_a_token_that_it_bound_to_our_key(elsewhere: Elsewhere) -> None:
    async with signed_in(elsewhere, "alice") as tab:
        task = await tab.ask("Transfer 4 EUR to Bob's savings", "TASK_STATE_AUTH_REQUIRED")
        hops = (await tab.http.get(f"{tab.web}/tasks/{task['id']}/trail")).json()["trail"]["hops"]
    (bound,) = [hop for hop in hops if hop["resource"] == "transfer.send"]
    assert str(bound["cnf"]).startswith("jkt:")


async def test_whoever_signs_out_at_the_provider_is_signed_out_of_the_network_within_seconds(
    elsewhere: Elsewhere,
) -> None:
    """The provider posts a real logout token: the page's session ends, and so do the tokens at every hop."""
    async with signed_in(elsewhere, "alice") as tab, signed_in(elsewhere, "bob") as bystander:
        tokens = await tokens_of(elsewhere, tab.http)
        assert await asyncio.gather(*(taken(name, token) for name, token in tokens.items())) == [True, True]
        await sign_out(elsewhere.issuer, tab.http)
        async with asyncio.timeout(5):
            while any([await taken(name, token) for name, token in tokens.items()]):
                await asyncio.sleep(0.1)
        assert (await tab.http.get(f"{tab.web}/session")).status_code == 401
        assert (await bystander.http.get(f"{tab.web}/session")).status_code == 200


async def test_the_doctor_says_how_soon_a_revoked_token_stops(elsewhere: Elsewhere) -> None:
    code, out, err = await elsewhere.finport.stead("doctor", "--json")
    told = {one["what"]: one["told"] for one in json.loads(out)["findings"] if one["what"].startswith(elsewhere.issuer)}
    assert code == 0, out + err
    assert "within 5 s of a logout token to" in told[f"{elsewhere.issuer}, a revoked token"]
    assert "otherwise is good until it runs out" in told[f"{elsewhere.issuer}, a revoked token"]
    assert "the issuer sends them" in told[f"{elsewhere.issuer}, logout tokens"]


async def tokens_of(elsewhere: Elsewhere, browser: httpx.AsyncClient) -> dict[str, AccessToken]:
    """What the web and the broker hold of the browser's login: for the broker, and for the Portfolio agent."""
    home, urls = elsewhere.finport.home, elsewhere.finport.urls
    async with (
        Workload.open("broker", home=home) as broker,
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
    ):
        web = ClientIdentity("finport-web", home.key("finport-web"), elsewhere.issuer)
        metadata, back = await broker.metadata(), f"{urls['web']}/callback"
        pending = begin(web, metadata, redirect_uri=back, scopes=("openid", "broker:ask"), resources=(urls["broker"],))
        place = pending.url
        while not place.startswith(back):
            place = urljoin(place, (await browser.get(place)).headers["location"])
        code = validate_callback(pending, httpx.URL(place).params.multi_items())
        flow = redeem(web, metadata, pending, code, now=time.time(), resource=urls["broker"])
        first = (await drive(flow, http)).access_token
        principal = await broker.verifier.verify(first)
        portfolio = urls["agents"]["portfolio"]
        second = await broker.exchange(Target(portfolio, ("portfolio:read",), Grant.OBO), principal)
    return {urls["broker"]: first, portfolio: second}


async def sign_out(issuer: str, browser: httpx.AsyncClient) -> None:
    page = await browser.get(f"{issuer}/session/end")
    secret = re.search(r'name="xsrf" value="([^"]+)"', page.text)
    assert secret, page.text
    done = await browser.post(f"{issuer}/session/end/confirm", data={"xsrf": secret[1], "logout": "yes"})
    assert done.status_code < 400, done.text
