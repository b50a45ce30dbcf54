"""FinPort's two identity providers: the company and the bank, from one server, seeded differently.

What stands here is who may do what, and who may call whom: the roles that entitle to a scope, and the edges of the
network. Nothing of it is known to the services themselves.
"""

from dataclasses import replace

from stead.identity.decision_settings import DecisionPointSettings
from stead.identity.home import Home, Network
from stead.identity.samples import BANK_NAME, PERSONS, Person, authenticator
from stead.identity.server import (
    CODE,
    REFRESH,
    WORKLOAD_GRANTS,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.settings import Settings
from stead.identity.signals.backchannel import PATH as LOGOUT
from stead.identity.types import ASGIApp

DECISIONS = "decisions"
"""What `stead policy serve` is called."""

_WORKLOADS = {
    "broker": "Agent Broker",
    "trail": "Audit trail",
    "portfolio-agent": "Portfolio agent",
    "market-data-agent": "Market Data agent",
    "transfer-agent": "Transfer agent",
    "holdings-mcp": "Holdings",
    "quotes-mcp": "Quotes",
    "payments-mcp": "Payments",
    "finport-web": "FinPort",
}


def corporate(home: Home, url: str) -> ASGIApp:
    """The company's provider, which knows every person and every workload."""
    wanted = Settings.load(home)
    settings = ServerSettings(
        url,
        "FinPort Identity",
        "corporate",
        home,
        "issuer-corporate",
        certificates=url.startswith("https:"),
        extra_claims=wanted.issuer_claims,
        proof_nonces=wanted.dpop_nonce,
        **wanted.lifetimes.of_server(),
        client_certificates={name: each.known() for name, each in wanted.client_certificates.items()},
        workloads={client_id: workload.trusted() for client_id, workload in wanted.workloads.items()},
        trust=None if wanted.tls is None else wanted.tls.believed(),
    )
    seeded = corporate_seed(home, home.network, url, wanted.decision_point)
    seed(settings, _telling_web(seeded, home.network) if wanted.described(url).backchannel_logout else seeded)
    return authorization_server(settings)


def bank(home: Home, url: str) -> ASGIApp:
    """The bank's provider, which knows its customers and one client: the Transfer agent."""
    wanted = Settings.load(home)
    settings = ServerSettings(
        url,
        BANK_NAME,
        "bank",
        home,
        "issuer-bank",
        registration=False,
        certificates=url.startswith("https:"),
        extra_claims=wanted.issuer_claims,
        proof_nonces=wanted.dpop_nonce,
        **wanted.lifetimes.of_server(),
    )
    seed(settings, bank_seed(home, home.network))
    return authorization_server(settings)


def _telling_web(seeded: Seed, network: Network) -> Seed:
    """The same, with the web told of logouts."""
    web = next(one for one in seeded.clients if one.client_id == "finport-web")
    told = replace(web, backchannel_logout_uri=f"{network.web}{LOGOUT}")
    return replace(seeded, clients=tuple(told if one is web else one for one in seeded.clients))


def corporate_seed(home: Home, network: Network, issuer: str, decisions: DecisionPointSettings | None = None) -> Seed:
    """Everything the company's provider starts with; a decision point is an audience that every workload may ask."""
    asking = _deciding(home, decisions)
    return Seed(
        persons=tuple(_employee(home, person) for person in PERSONS),
        clients=(*_corporate_clients(home, network), *asking.clients),
        audiences=(*_corporate_audiences(network, issuer), *asking.audiences),
        edges=(*_login_edges(network, issuer), *_call_edges(network), *_audit_edges(network), *asking.edges),
    )


def bank_seed(home: Home, network: Network) -> Seed:
    """Everything the bank's provider starts with."""
    payments = network.mcp_servers["payments"]
    transfer = SeedClient(
        "transfer-agent",
        "FinPort Transfer",
        home.key("transfer-agent"),
        redirect_uris=(f"{network.agents['transfer']}/callback",),
        grants=(CODE,),
        details_types=("payment_initiation",),
        first_party=False,
        pushed_only=True,
    )
    return Seed(
        persons=tuple(_customer(person) for person in PERSONS if person.bank_subject),
        clients=(transfer,),
        audiences=(SeedAudience(payments, "Payments", {"payments": ("account-holder",)}, "payments-mcp"),),
        edges=(SeedEdge("transfer-agent", payments, ("payments",), "login"),),
    )


def _employee(home: Home, person: Person) -> SeedPerson:
    limit = person.transfer_limit
    claims = {} if limit is None else {"transfer_limit": {"amount": str(limit), "currency": "EUR"}}
    return SeedPerson(
        person.username,
        person.username,
        person.name,
        person.password,
        person.roles,
        claims,
        authenticator=authenticator(person, home),
    )


def _customer(person: Person) -> SeedPerson:
    accounts = [{"iban": one.iban, "name": one.name, "currency": one.currency} for one in person.accounts]
    return SeedPerson(
        person.bank_subject or person.username,
        person.username,
        person.name,
        person.bank_password,
        ("account-holder",),
        {"accounts": accounts},
    )


def _corporate_clients(home: Home, network: Network) -> tuple[SeedClient, ...]:
    signing_in = {"finport-web": network.web, "transfer-agent": network.agents["transfer"]}
    workloads = (
        SeedClient(
            name,
            title,
            home.key(name),
            redirect_uris=(f"{signing_in[name]}/callback",) if name in signing_in else (),
            post_logout_redirect_uris=(f"{network.web}/",) if name == "finport-web" else (),
            grants=(*WORKLOAD_GRANTS, CODE, REFRESH) if name in signing_in else WORKLOAD_GRANTS,
        )
        for name, title in _WORKLOADS.items()
    )
    terminal = SeedClient(
        "stead-cli", "stead command line", redirect_uris=("http://127.0.0.1/callback",), grants=(CODE, REFRESH)
    )
    return (*workloads, terminal)


def _corporate_audiences(network: Network, issuer: str) -> tuple[SeedAudience, ...]:
    agents, servers = network.agents, network.mcp_servers
    customer, admin, auditor = ("customer",), ("registry-admin",), ("auditor",)
    return (
        SeedAudience(
            issuer,
            "FinPort Identity",
            {"registry:admin": admin, "registry:obo": ("obo-admin",), "edges:read": ()},
        ),
        SeedAudience(
            network.broker,
            "Agent Broker",
            {"broker:ask": customer, "registry:admin": admin, "task:notify": ()},
            "broker",
        ),
        SeedAudience(
            network.trail, "Audit trail", {"trail:read": customer, "audit:read": auditor, "audit:write": ()}, "trail"
        ),
        SeedAudience(agents["portfolio"], "Portfolio agent", {"portfolio:read": customer}, "portfolio-agent"),
        SeedAudience(agents["market_data"], "Market Data agent", {"market:read": ()}, "market-data-agent"),
        SeedAudience(agents["transfer"], "Transfer agent", {"transfer:create": ("payer",)}, "transfer-agent"),
        SeedAudience(servers["holdings"], "Holdings", {"holdings:read": customer, "tools:list": ()}, "holdings-mcp"),
        SeedAudience(servers["quotes"], "Quotes", {"quotes:read": (), "tools:list": ()}, "quotes-mcp"),
    )


def _login_edges(network: Network, issuer: str) -> tuple[SeedEdge, ...]:
    clients = ("finport-web", "stead-cli")
    wanted = (
        (network.broker, ("broker:ask", "registry:admin")),
        (network.trail, ("trail:read", "audit:read")),
        (issuer, ("registry:admin", "registry:obo")),
    )
    return tuple(SeedEdge(client, audience, scopes, "login") for client in clients for audience, scopes in wanted)


def _call_edges(network: Network) -> tuple[SeedEdge, ...]:
    agents, servers = network.agents, network.mcp_servers
    return (
        SeedEdge("broker", agents["portfolio"], ("portfolio:read",), "obo"),
        SeedEdge("portfolio-agent", servers["holdings"], ("holdings:read",), "obo"),
        SeedEdge("broker", agents["market_data"], ("market:read",), "s2s"),
        SeedEdge("market-data-agent", servers["quotes"], ("quotes:read",), "s2s"),
        SeedEdge("broker", agents["transfer"], ("transfer:create",), "obo"),
        SeedEdge("transfer-agent", network.broker, ("task:notify",), "s2s"),
        SeedEdge("broker", servers["holdings"], ("tools:list",), "s2s"),
        SeedEdge("broker", servers["quotes"], ("tools:list",), "s2s"),
    )


def _deciding(home: Home, point: DecisionPointSettings | None) -> Seed:
    """One that is shown tokens of ours."""
    if point is None or not point.scopes:
        return Seed()
    audience = point.audience or point.url
    client = SeedClient(DECISIONS, "Decision point", home.key(DECISIONS))
    scopes: dict[str, tuple[str, ...]] = dict.fromkeys(point.scopes, ())
    return Seed(
        clients=(client,),
        audiences=(SeedAudience(audience, client.name, scopes, DECISIONS),),
        edges=(SeedEdge("*", audience, point.scopes, "s2s"),),
    )


def _audit_edges(network: Network) -> tuple[SeedEdge, ...]:
    """Whoever joins the network may write down what it does."""
    return (SeedEdge("*", network.trail, ("audit:write",), "s2s"),)
