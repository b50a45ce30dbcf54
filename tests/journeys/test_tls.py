"""The whole network over TLS, by one command: every token is bound to the certificate of who uses it (RFC 8705)."""

import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping

import httpx
import pytest
from playwright.async_api import expect

from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import Session, signed_in
from stead.demo.network.addresses import addresses, network_of
from stead.demo.network.catalogue import SERVICES
from stead.identity.driver import drive
from stead.identity.egress import Target
from stead.identity.errors import GrantRefused
from stead.identity.flows import ClientIdentity, discover, s2s
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Grant
from stead.identity.workload import Workload
from stead.identity.workload_settings import TlsSettings
from tests.chromium import chromium
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.visit import visit
from tests.server.certificates import thumbprint_of

PORTFOLIO = "Show my portfolio"
MARKET = "How will AAPL and MSFT trend?"
PAY = "Transfer 250 EUR to Bob's savings"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """`stead certs`, then `stead demo`; nothing goes unbound, and the company knows services by their certificates."""
    path = tmp_path_factory.mktemp("tls") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEAD_DPOP", "always")
        patch.setenv("STEAD_HOME", str(path))
        from stead.demo.cli import certs

        certs.issue([], json=True)
        issuer = {"issuer": network_of(Home(path)).corporate_idp, "client_auth": "tls_client_auth"}
        patch.setenv("STEAD_ISSUERS", json.dumps([issuer]))
        known = {service.name: {"san_uri": f"urn:stead:{service.name}"} for service in SERVICES}
        patch.setenv("STEAD_CLIENT_CERTIFICATES", json.dumps(known))
        network = start_network(path)
        yield network
        stop_network(network)


@pytest.fixture
async def alice(secured: FinPort) -> AsyncIterator[Session]:
    session = await signed_in(secured.home, "alice")
    yield session
    await session.close()


def shown_by(home: Home, name: str) -> ssl.SSLContext:
    """What a connection of the workload `name` shows and believes."""
    return tls_of(home).files(name).client()


def tls_of(home: Home) -> TlsSettings:
    tls = Settings.load(home).tls
    assert tls is not None
    return tls


def bound_to(home: Home) -> Mapping[str, str]:
    """By workload, what its tokens have to be bound to: its certificate as it lies there now."""
    return {one.name: f"x5t#S256:{thumbprint_of(tls_of(home).files(one.name))}" for one in SERVICES}


async def check_hops(secured: FinPort, alice: Session, goal: str, callers: set[str]) -> None:
    """Asks; every hop but the person's own goes by a token that is bound to its caller's certificate."""
    certificates = bound_to(secured.home)
    answer = await ask_as(alice, goal, approve=True)
    assert answer["state"] == "TASK_STATE_COMPLETED", answer
    bound = {hop["caller"]: hop["cnf"] for hop in answer["hops"]}
    assert bound.pop("stead-cli").startswith("jkt:")
    assert bound == {caller: certificates[caller] for caller in callers}


async def test_every_address_of_the_network_is_https_and_speaks_nothing_else(secured: FinPort) -> None:
    urls = [url for _, url in addresses(secured.home.network)]
    assert len(urls) == len(SERVICES)
    async with httpx.AsyncClient(trust_env=False, verify=Settings.load(secured.home).believed()) as http:
        for url in urls:
            assert (await http.get(f"{url}/readyz")).status_code == 200
            with pytest.raises(httpx.TransportError):
                await http.get(f"{url.replace('https:', 'http:')}/readyz")


async def test_reading_asking_as_itself_and_paying_go_by_tokens_bound_to_certificates(
    secured: FinPort, alice: Session
) -> None:
    await check_hops(secured, alice, PORTFOLIO, {"broker", "portfolio-agent"})
    await check_hops(secured, alice, MARKET, {"broker", "market-data-agent"})
    await check_hops(secured, alice, PAY, {"broker", "transfer-agent"})


async def stolen(home: Home) -> tuple[str, AccessToken]:
    """A token of the broker's for Market Data, as the wire has it."""
    market = home.network.agents["market_data"]
    async with Workload.open("broker", home=home) as broker:
        token = await broker.exchange(Target(market, ("market:read",), Grant.S2S), None)
    return market, token


async def test_a_stolen_token_is_of_no_use_with_another_services_certificate_or_with_none(secured: FinPort) -> None:
    market, token = await stolen(secured.home)
    headers = {"authorization": f"Bearer {token.reveal()}", "a2a-version": "1.0"}
    thieves = (shown_by(secured.home, "portfolio-agent"), Settings.load(secured.home).believed())
    for context, refused in ((shown_by(secured.home, "broker"), False), *((thief, True) for thief in thieves)):
        async with httpx.AsyncClient(trust_env=False, verify=context) as http:
            answer = await http.post(f"{market}/a2a", json=LIST, headers=headers)
        assert (answer.status_code == 401) is refused, answer.text


async def test_a_services_key_alone_opens_nothing_at_the_provider(secured: FinPort) -> None:
    issuer = secured.home.network.corporate_idp
    client = ClientIdentity("broker", secured.home.key("broker"), issuer)
    market = secured.home.network.agents["market_data"]
    async with httpx.AsyncClient(trust_env=False, verify=shown_by(secured.home, "portfolio-agent")) as http:
        metadata = await drive(discover(issuer), http)
        flow = s2s(client, metadata, audience=market, scopes=["market:read"], now=time.time())
        with pytest.raises(GrantRefused, match="known by its certificate"):
            await drive(flow, http)


async def test_every_session_cookie_is_secure(secured: FinPort, alice: Session) -> None:
    await alice.browser.visit(f"{secured.urls['web']}/login")
    jar = list(alice.http.cookies.jar)
    assert {"__Host-finport", "__Host-corporate-issuer-session"} <= {cookie.name for cookie in jar}
    assert all(cookie.secure for cookie in jar), jar
    page = await alice.browser.visit(secured.urls["web"])
    csrf = page.html.partition('name="csrf" content="')[2].partition('"')[0]
    own = {"origin": secured.urls["web"]}
    assert (await alice.http.post(f"{page.url}/logout", data={"csrf": csrf}, headers=own)).status_code == 303
    assert "__Host-finport" not in alice.http.cookies


async def test_a_person_at_a_real_browser_is_asked_for_no_certificate(secured: FinPort) -> None:
    async with chromium() as browser, visit(browser, secured, "alice", ignore_https_errors=True) as person:
        turn = await person.ask(PORTFOLIO)
        await expect(turn.get_by_test_id("holdings-total")).to_have_text("47\u202f396.47")
        assert all(cookie.get("secure") for cookie in await person.context.cookies())


async def test_no_document_of_the_network_leads_to_plain_http(secured: FinPort) -> None:
    network = secured.home.network
    known = ("oauth-protected-resource", "agent-card.json", "openid-configuration", "authzen-configuration")
    read = []
    async with httpx.AsyncClient(trust_env=False, verify=Settings.load(secured.home).believed()) as http:
        for _, url in addresses(network):
            answers = [await http.get(f"{url}/.well-known/{name}") for name in known]
            read += [answer.text for answer in answers if answer.status_code == 200]
    assert len(read) >= len(SERVICES)
    for document in read:
        assert "https://127." in document
        assert "http://127." not in document


async def ask_at_the_web(secured: FinPort, alice: Session, path: str) -> None:
    """A question at the web page: the web calls the broker in Alice's name, with the token that it keeps of her."""
    url = secured.urls["web"]
    page = await alice.browser.visit(f"{url}{path}")
    own = {"origin": url, "x-csrf-token": page.html.partition('name="csrf" content="')[2].partition('"')[0]}
    said = {"text": PORTFOLIO, "message_id": secrets.token_hex(12)}
    asked = await alice.http.post(f"{url}/ask", json=said, headers=own)
    assert asked.status_code == 202, asked.text
    network = await alice.http.get(f"{url}/network")
    assert network.status_code == 200, network.text


async def test_certificates_are_renewed_while_the_network_runs_and_nobody_signs_in_anew(
    secured: FinPort, alice: Session
) -> None:
    await ask_at_the_web(secured, alice, "/login")
    before = bound_to(secured.home)
    code, _, err = await secured.stead("certs")
    assert code == 0, err
    assert not set(bound_to(secured.home).values()) & set(before.values())
    await check_hops(secured, alice, PORTFOLIO, {"broker", "portfolio-agent"})
    await ask_at_the_web(secured, alice, "/")


async def test_the_doctor_says_how_long_each_certificate_is_good_for(secured: FinPort) -> None:
    code, out, err = await secured.stead("doctor", "--json")
    assert code == 0, out + err
    told = {one["what"]: one["told"] for one in json.loads(out)["findings"]}
    assert {told[str(tls_of(secured.home).files(service.name).certificate)] for service in SERVICES} == {
        "good for 90 days"
    }
