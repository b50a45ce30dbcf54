"""Calls into another domain (ID-JAG): a company's issuer gives a grant, a partner's takes it, and attacks on both."""

import base64
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.connections import Connections, connected
from stead.identity.driver import drive
from stead.identity.egress import Target
from stead.identity.errors import ConfigurationError, GrantRefused
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.id_jag import Domain, across
from stead.identity.home import Home
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.server import (
    ASSERTION,
    GrantIssuer,
    ResourceServer,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    ServerSettings,
    seed,
)
from stead.identity.server.clients import SERVICE
from stead.identity.server.seeding import SeedPerson, public_jwks
from stead.identity.settings import Settings
from stead.identity.trust import TrustedIssuer
from stead.identity.values import AccessToken, Grant
from stead.identity.verifier import Verifier
from tests.server.issuers import ACCESS_TOKEN, BROKER, Clock, Issuer, corporate_seed, running
from tests.server.parties import Login, Party, claims_of
from tests.server.world import World

API, OTHER_API = "https://api.partner.example", "https://other.partner.example"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
MAX_AGE = 1800


@dataclass
class Domains:
    """The company, and two authorization servers of partners that trust it."""

    company: World
    partner: Issuer
    third: Issuer
    http: httpx.AsyncClient

    @property
    def there(self) -> Party:
        """The broker as the partner knows it."""
        return Party(self.partner, self.http, "finport")

    async def ask(self, subject_token: str, *changes: tuple[str, str], party: Party | None = None) -> httpx.Response:
        said = [
            ("requested_token_type", ID_JAG),
            ("audience", self.partner.url),
            ("resource", API),
            ("scope", "deals:read"),
        ]
        names = {name for name, _ in changes}
        form = [*(pair for pair in said if pair[0] not in names), *((n, v) for n, v in changes if v)]
        return await (party or self.company.broker).exchange(subject_token, *form)

    async def grant(self, *changes: tuple[str, str], username: str = "alice") -> str:
        subject = (await self.company.login(username))["access_token"]
        response = await self.ask(subject, *changes)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def spend(self, grant: str, *form: tuple[str, str], party: Party | None = None) -> httpx.Response:
        return await (party or self.there).token(("grant_type", ASSERTION), ("assertion", grant), *form)

    def forged(self, like: str, key: ECKey | None = None, typ: str = "oauth-id-jag+jwt", **changes: Any) -> str:
        """A grant that nobody would give: signed with the company's own key unless another is named."""
        key = key or self.company.issuer.home.key("issuer-corporate")
        claims = {**claims_of(like), "jti": secrets.token_hex(8), **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        kid = self.company.issuer.home.key("issuer-corporate").kid
        return jwt.encode({"alg": "ES256", "kid": kid, "typ": typ}, claims, key, algorithms=["ES256"])


def company_seed(home: Home, url: str) -> Seed:
    base = corporate_seed(home, url)
    apis = tuple(
        SeedAudience(api, "Partner", {"deals:read": ("customer",), "deals:close": ("payer",)})
        for api in (API, OTHER_API)
    )
    edges = tuple(SeedEdge(who, API, ("deals:read", "deals:close"), "obo") for who in ("broker", "finport-web"))
    clients = tuple(
        replace(one, grants=(*one.grants, "urn:ietf:params:oauth:grant-type:token-exchange")) for one in base.clients
    )
    return Seed(base.persons, clients, (*base.audiences, *apis), (*base.edges, *edges))


def partner_seed(home: Home) -> Seed:
    guest = SeedPerson("guest-1", "guest-1", "Alice of FinPort", secrets.token_hex(8), ("guest",))
    clients = tuple(
        SeedClient(name, name, home.key(name), grants=(ASSERTION, SERVICE)) for name in ("finport", "other")
    )
    barred = SeedClient("barred", "barred", home.key("barred"))
    scopes = {"deals:read": ("guest",), "deals:close": ("partner",), "rates:read": ()}
    audience = SeedAudience(API, "Deals", scopes, "deals-service")
    edges = tuple(SeedEdge(name, API, ("deals:read", "deals:close"), "obo") for name in ("finport", "other", "barred"))
    edges = (*edges, SeedEdge("finport", API, ("rates:read",), "s2s"))
    service = SeedClient("deals-service", "Deals", home.key("deals-service"))
    return Seed((guest,), (*clients, barred, service), (audience,), edges)


def listening() -> tuple[socket.socket, str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
async def running_domains(tmp_path_factory: pytest.TempPathFactory, http: httpx.AsyncClient) -> AsyncIterator[Domains]:
    folder = tmp_path_factory.mktemp("domains")
    home, away = Home(folder / "company"), Home(folder / "partners")
    jwks, clock = folder / "company-jwks.json", Clock()
    jwks.write_text(public_jwks(home.key("issuer-corporate")))
    (one, company), (two, partner), (three, third) = (listening() for _ in range(3))
    ours = {"broker": "finport", "finport-web": "finport"}
    servers = {
        url: ResourceServer(url, frozenset({API}), ours, max_age=MAX_AGE if url == partner else None)
        for url in (partner, third)
    }
    settings = ServerSettings(
        company, "FinPort", "corporate", home, "issuer-corporate", clock=clock, resource_servers=servers
    )
    seed(settings, company_seed(home, company))
    trusted = {company: GrantIssuer(company, jwks, {"alice": "guest-1"})}
    partners = [
        ServerSettings(
            url, name, "bank", away, f"issuer-{name}", away.database(name), clock=clock, grant_issuers=trusted
        )
        for url, name in ((partner, "partner"), (third, "third"))
    ]
    for each in partners:
        seed(each, partner_seed(away))
    async with AsyncExitStack() as stack:
        for each, listener in zip((settings, *partners), (one, two, three), strict=True):
            await stack.enter_async_context(running(each, listener))
        issuers = [Issuer(each, clock, each.home) for each in partners]
        yield Domains(World(Issuer(settings, clock, home), http), issuers[0], issuers[1], http)


@pytest.fixture
async def domains(running_domains: Domains) -> AsyncIterator[Domains]:
    yield running_domains
    running_domains.partner.clock.ahead = 0


async def refusal(response: httpx.Response, error: str) -> dict[str, Any]:
    assert response.status_code == 400, response.text
    body: dict[str, Any] = response.json()
    assert body["error"] == error, body
    assert "eyJ" not in response.text
    return body


# --- both legs -----------------------------------------------------------------------------------------------------


async def test_a_workload_reaches_another_domain_in_the_persons_stead(domains: Domains) -> None:
    subject = (await domains.company.login())["access_token"]
    asked = await domains.ask(subject)
    body = asked.json()
    assert (body["issued_token_type"], body["token_type"]) == (ID_JAG, "N_A")
    grant = claims_of(body["access_token"])
    assert (grant["aud"], grant["client_id"], grant["resource"]) == (domains.partner.url, "finport", API)
    assert grant["act"] == {"sub": "broker"}
    assert grant["exp"] - grant["iat"] <= 300
    spent = await domains.spend(body["access_token"])
    assert spent.status_code == 200, spent.text
    token = claims_of(spent.json()["access_token"])
    assert (token["sub"], token["aud"], token["scope"]) == ("guest-1", API, "deals:read")
    assert token["act"] == {"sub": "finport"}
    assert token["auth_time"] == grant["auth_time"]
    assert "sid" not in token


async def test_those_who_acted_before_keep_their_names_and_get_their_issuer(domains: Domains) -> None:
    grant = domains.forged(await domains.grant(), act={"sub": "portfolio-agent", "act": {"sub": "broker"}})
    token = claims_of((await domains.spend(grant)).json()["access_token"])
    assert token["act"] == {"sub": "finport", "act": {"sub": "broker", "iss": domains.company.issuer.url}}


async def test_the_client_of_the_sign_in_starts_from_its_id_token(domains: Domains) -> None:
    tokens = await domains.company.login()
    response = await domains.ask(
        tokens["id_token"], ("subject_token_type", ID_TOKEN), ("audience", domains.third.url), party=domains.company.web
    )
    assert "act" not in claims_of(response.json()["access_token"])
    spent = await domains.spend(response.json()["access_token"], party=Party(domains.third, domains.http, "finport"))
    assert claims_of(spent.json()["access_token"])["sub"] == "guest-1"


async def test_the_flow_takes_both_legs_by_itself(domains: Domains) -> None:
    def domain(issuer: Issuer, client_id: str) -> Domain:
        metadata = Metadata(issuer.url, token_endpoint=f"{issuer.url}/token")
        return Domain(ClientIdentity(client_id, issuer.home.key(client_id), issuer.url), metadata)

    subject = AccessToken((await domains.company.login())["access_token"])
    flow = across(
        domain(domains.company.issuer, "broker"),
        domain(domains.partner, "finport"),
        subject_token=subject,
        audience=API,
        scopes=("deals:read",),
        now=domains.partner.clock(),
    )
    tokens = await drive(flow, domains.http)
    assert claims_of(tokens.access_token.reveal())["iss"] == domains.partner.url


@asynccontextmanager
async def broker_by_settings(domains: Domains) -> AsyncIterator[Connections]:
    company, partner = domains.company.issuer, domains.partner
    # The partner knows the broker by another name and another key, as partners do.
    away, home = partner.home.key("finport"), company.home
    entry = {"issuer": partner.url, "dialect": "id-jag", "resources": [API], "scope_names": {"read": "deals:read"}}
    settings = Settings(issuers=(IssuerSettings.model_validate(entry),))
    assert settings.accepted == ()

    def client_of(issuer: str) -> ClientIdentity:
        return ClientIdentity("finport", away, issuer)

    client = ClientIdentity("broker", home.key("broker"), company.url)
    async with connected(client, home.key("proof"), settings, company.clock, client_of) as connections:
        yield connections


async def test_a_workload_gets_there_by_its_settings_alone(domains: Domains) -> None:
    company, partner = domains.company.issuer, domains.partner
    async with broker_by_settings(domains) as connections:

        async def keys(url: str) -> bytes:
            return (await connections.bare.get(url)).content

        verifier = Verifier([TrustedIssuer(company.url)], BROKER, keys, company.clock)
        principal = await verifier.verify(AccessToken((await domains.company.login())["access_token"]))
        target = Target(API, scopes=("read",), grant=Grant.OBO)
        token = claims_of((await connections.tokens.obtain(target, principal)).reveal())
        again = await connections.tokens.obtain(target, principal)
    assert (token["iss"], token["sub"], token["act"]) == (partner.url, "guest-1", {"sub": "finport"})
    assert claims_of(again.reveal())["jti"] == token["jti"]


async def test_a_workload_as_itself_needs_no_grant_over_there(domains: Domains) -> None:
    async with broker_by_settings(domains) as connections:
        target = Target(API, scopes=("rates:read",), grant=Grant.S2S)
        token = claims_of((await connections.tokens.obtain(target, None)).reveal())
    assert (token["iss"], token["sub"], token["aud"]) == (domains.partner.url, "finport", API)
    assert "act" not in token


async def test_a_refusal_names_the_server_that_refused(domains: Domains) -> None:
    async with broker_by_settings(domains) as connections:
        target = Target(API, scopes=("deals:read",), grant=Grant.S2S)
        with pytest.raises(GrantRefused, match=r"^partner refused deals:read for finport"):
            await connections.tokens.obtain(target, None)


@pytest.mark.parametrize("entry", [{"dialect": "id-jag"}, {"resources": [API]}], ids=str)
def test_another_domain_is_named_with_what_is_there(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need each other"):
        IssuerSettings.model_validate({"issuer": "https://as.partner.example", **entry})


async def test_each_side_says_what_it_does_and_no_more(domains: Domains) -> None:
    company, partner = [
        (await domains.http.get(f"{url}/.well-known/oauth-authorization-server")).json()
        for url in (domains.company.issuer.url, domains.partner.url)
    ]
    assert company["identity_chaining_requested_token_types_supported"] == [ID_JAG]
    assert partner["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]
    assert ASSERTION in partner["grant_types_supported"]
    assert ASSERTION not in company["grant_types_supported"]
    assert "identity_chaining_requested_token_types_supported" not in partner


def test_an_issuer_takes_no_grants_of_its_own(tmp_path: Any) -> None:
    url = "https://as.example"
    with pytest.raises(ConfigurationError):
        ServerSettings(
            url,
            "Self",
            "bank",
            Home(tmp_path),
            "issuer-bank",
            grant_issuers={url: GrantIssuer(url, tmp_path / "jwks.json", {})},
        )


# --- leg 1: who gets none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("audience", "https://as.unknown.example"), "invalid_target"),
        (("audience", ""), "invalid_target"),
        (("resource", OTHER_API), "invalid_target"),
        (("resource", ""), "invalid_target"),
        (("scope", ""), "invalid_scope"),
        (("scope", "deals:read holdings:read"), "invalid_scope"),
        (("actor_token", "x"), "invalid_request"),
        (("authorization_details", "[]"), "invalid_request"),
        (("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), "invalid_request"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
async def test_a_grant_is_for_one_known_server_service_and_scope(
    domains: Domains, change: tuple[str, str], error: str
) -> None:
    subject = (await domains.company.login())["access_token"]
    await refusal(await domains.ask(subject, change), error)


async def test_an_issuer_gives_no_grant_to_itself(domains: Domains) -> None:
    subject = (await domains.company.login())["access_token"]
    await refusal(await domains.ask(subject, ("audience", domains.company.issuer.url)), "invalid_target")


async def test_a_person_without_the_right_gets_no_grant(domains: Domains) -> None:
    subject = (await domains.company.login("bob"))["access_token"]
    await refusal(await domains.ask(subject, ("scope", "deals:close")), "invalid_scope")


async def test_a_client_that_is_nobody_over_there_gets_no_grant(domains: Domains) -> None:
    subject = (await domains.company.login())["access_token"]
    first = await domains.company.obo(subject, "http://127.0.0.12:9000", "portfolio:read")
    agent = domains.company.party("portfolio-agent")
    await refusal(await domains.ask(first["access_token"], party=agent), "unauthorized_client")


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, ID_TOKEN])
async def test_a_token_that_was_sent_to_another_client_gives_no_grant(domains: Domains, kind: str) -> None:
    tokens = await domains.company.login()
    stolen, thief = (
        (tokens["access_token"], domains.company.web) if kind == ACCESS_TOKEN else (tokens["id_token"], None)
    )
    response = await domains.ask(stolen, ("subject_token_type", kind), party=thief)
    assert response.status_code == 400
    assert response.json()["error"] in ("invalid_request", "invalid_grant")


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, ID_TOKEN])
async def test_a_token_in_the_others_slot_gives_no_grant(domains: Domains, kind: str) -> None:
    tokens = await domains.company.login()
    wrong = tokens["id_token"] if kind == ACCESS_TOKEN else tokens["access_token"]
    party = domains.company.broker if kind == ACCESS_TOKEN else domains.company.web
    await refusal(await domains.ask(wrong, ("subject_token_type", kind), party=party), "invalid_grant")


async def test_an_old_sign_in_has_to_be_renewed_first(domains: Domains) -> None:
    subject = (await domains.company.login())["access_token"]
    assert (await domains.ask(subject)).status_code == 200
    tokens = await domains.company.login()
    domains.company.issuer.clock.ahead = MAX_AGE + 60
    renewed = await domains.company.web.token(
        ("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]), ("resource", BROKER)
    )
    body = await refusal(await domains.ask(renewed.json()["access_token"]), "insufficient_user_authentication")
    assert body["max_age"] == MAX_AGE


# --- leg 2: what is not taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"iss": "https://unknown.example"}, "invalid_grant"),
        ({"aud": "https://third.example"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_grant"),
        ({"client_id": None}, "invalid_grant"),
        ({"sub": "mallory"}, "invalid_grant"),
        ({"sub": "guest-1"}, "invalid_grant"),
        ({"jti": None}, "invalid_grant"),
        ({"exp": 1_700_000_000}, "invalid_grant"),
        ({"tenant": "another"}, "invalid_grant"),
        ({"authorization_details": [{"type": "payment_initiation"}]}, "invalid_grant"),
        ({"cnf": {"jkt": "0" * 43}}, "invalid_grant"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "deals:close"}, "invalid_scope"),
        ({"resource": None}, "invalid_target"),
        ({"resource": [API, OTHER_API]}, "invalid_target"),
        ({"resource": OTHER_API}, "invalid_target"),
    ],
    ids=str,
)
async def test_a_grant_that_is_not_exactly_for_this_is_refused(
    domains: Domains, changes: dict[str, Any], error: str
) -> None:
    grant = domains.forged(await domains.grant(), **changes)
    await refusal(await domains.spend(grant), error)


async def test_a_grant_with_a_list_of_audiences_is_refused(domains: Domains) -> None:
    grant = domains.forged(await domains.grant(), aud=[domains.partner.url])
    await refusal(await domains.spend(grant), "invalid_grant")


async def test_a_grant_that_lives_longer_than_five_minutes_is_refused(domains: Domains) -> None:
    genuine = await domains.grant()
    grant = domains.forged(genuine, exp=claims_of(genuine)["iat"] + 301)
    await refusal(await domains.spend(grant), "invalid_grant")


async def test_a_replayed_grant_is_refused(domains: Domains) -> None:
    grant = await domains.grant()
    assert (await domains.spend(grant)).status_code == 200
    body = await refusal(await domains.spend(grant), "invalid_grant")
    assert body["error_description"] == "The grant was used before."


async def test_a_grant_is_not_good_at_another_server(domains: Domains) -> None:
    grant = await domains.grant()
    await refusal(await domains.spend(grant, party=Party(domains.third, domains.http, "finport")), "invalid_grant")


async def test_a_stolen_grant_is_not_good_for_another_client(domains: Domains) -> None:
    grant = await domains.grant()
    await refusal(await domains.spend(grant, party=Party(domains.partner, domains.http, "other")), "invalid_grant")
    barred = Party(domains.partner, domains.http, "barred")
    await refusal(await domains.spend(grant, party=barred), "unauthorized_client")


async def test_a_grant_is_spent_only_by_an_authenticated_client(domains: Domains) -> None:
    form = [("grant_type", ASSERTION), ("assertion", await domains.grant()), ("client_id", "finport")]
    await refusal(await domains.there.send("/token", form), "invalid_client")


async def test_a_grant_is_never_taken_by_who_gave_it(domains: Domains) -> None:
    grant = domains.forged(await domains.grant(), aud=domains.company.issuer.url, client_id="broker")
    response = await domains.spend(grant, party=domains.company.broker)
    await refusal(response, "unsupported_grant_type")


async def test_a_grant_of_somebody_elses_key_is_refused(domains: Domains) -> None:
    grant = domains.forged(await domains.grant(), key=ECKey.generate_key("P-256"))
    await refusal(await domains.spend(grant), "invalid_grant")


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", "dpop+jwt", "logout+jwt", "secevent+jwt"])
async def test_nothing_else_is_taken_for_a_grant(domains: Domains, typ: str) -> None:
    await refusal(await domains.spend(domains.forged(await domains.grant(), typ=typ)), "invalid_grant")


async def test_a_grant_is_taken_for_nothing_else(domains: Domains) -> None:
    """Neither as what is exchanged, nor as what a client proves itself with, nor as what opens a door."""
    grant = await domains.grant(("audience", domains.third.url))
    company = domains.company
    exchanged = await company.broker.exchange(grant, ("resource", API), ("scope", "deals:read"))
    await refusal(exchanged, "invalid_grant")
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", grant)]
    await refusal(await company.broker.send("/token", form), "invalid_client")
    for url in (company.issuer.url, domains.third.url):
        opened = await domains.http.get(f"{url}/userinfo", headers={"authorization": f"Bearer {grant}"})
        assert opened.status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (("scope", "deals:read deals:close"), "invalid_scope"),
        (("resource", OTHER_API), "invalid_target"),
        (("audience", OTHER_API), "invalid_target"),
    ],
    ids=str,
)
async def test_a_grant_is_not_widened_when_it_is_spent(domains: Domains, form: tuple[str, str], error: str) -> None:
    await refusal(await domains.spend(await domains.grant(), form), error)


async def test_a_chain_of_actors_in_a_grant_has_an_end(domains: Domains) -> None:
    act: dict[str, Any] = {"sub": "a6"}
    for number in range(5, 0, -1):
        act = {"sub": f"a{number}", "act": act}
    await refusal(await domains.spend(domains.forged(await domains.grant(), act=act)), "invalid_grant")


@pytest.mark.parametrize("grant", ["", "x", "a.b.c", "." * 50, "x" * 9000], ids=["", "x", "a.b.c", "dots", "long"])
async def test_what_is_no_token_is_refused_before_anybody_reads_it(domains: Domains, grant: str) -> None:
    assert (await domains.spend(grant)).json()["error"] in ("invalid_grant", "invalid_request")


async def test_a_deeply_nested_grant_is_refused_before_its_signature_is_looked_at(domains: Domains) -> None:
    def segment(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    header = segment(json.dumps({"alg": "ES256", "kid": "k", "typ": "oauth-id-jag+jwt"}))
    deep = segment('{"act":' * 600 + "1" + "}" * 600)
    await refusal(await domains.spend(f"{header}.{deep}.AAAA"), "invalid_grant")


async def test_a_token_by_a_grant_goes_no_further(domains: Domains) -> None:
    """There is no session to end here, so that what came of it is good at its audience alone, and shortly."""
    spent = (await domains.spend(await domains.grant())).json()
    assert spent["expires_in"] <= 300
    assert "refresh_token" not in spent
    service = Party(domains.partner, domains.http, "deals-service")
    exchanged = await service.exchange(spent["access_token"], ("resource", API), ("scope", "deals:read"))
    body = await refusal(exchanged, "invalid_request")
    assert body["error_description"] == "The subject token rests on no login."


async def test_a_bound_login_gives_a_grant_for_the_key_of_who_asked(domains: Domains) -> None:
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    login, company = Login(), domains.company
    code = await company.code(login, "alice", "openid broker:ask", BROKER)
    web = company.party("finport-web", proof_key=ECKey.generate_key("P-256"))
    first = (await company.redeem(login, code, party=web)).json()["access_token"]
    proving = company.party("broker", proof_key=key)
    await refusal(await domains.ask(first), "invalid_request")
    grant = (await domains.ask(first, party=proving)).json()["access_token"]
    await refusal(await domains.spend(grant), "invalid_grant")
    thief = Party(domains.partner, domains.http, "finport", proof_key=other)
    await refusal(await domains.spend(grant, party=thief), "invalid_grant")
    owner = Party(domains.partner, domains.http, "finport", proof_key=key)
    spent = (await domains.spend(grant, party=owner)).json()
    assert spent["token_type"] == "DPoP"
    assert claims_of(spent["access_token"])["cnf"] == claims_of(grant)["cnf"]
