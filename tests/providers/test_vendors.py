"""Entra, Okta and Auth0 by the examples' own settings: sign-in, the next hop, services, verification, refusals."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from stead.identity.chains import Chains
from stead.identity.clock import system_clock
from stead.identity.connections import Connections, connected
from stead.identity.driver import drive, fetch
from stead.identity.egress import Target
from stead.identity.errors import (
    AccessDenied,
    ConsentRequired,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    InvalidToken,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows import begin, redeem, validate_callback
from stead.identity.home import Home, public_jwk
from stead.identity.metadata import KEYS
from stead.identity.receipts import HEADER, write_receipt
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Grant, Principal
from stead.identity.verifier import Verifier
from tests.parts.vendors.auth0 import Auth0
from tests.parts.vendors.entra import CHALLENGE, TENANT, Entra
from tests.parts.vendors.okta import SERVER, Okta
from tests.parts.vendors.vendor import Vendor, serving

BROKER, PORTFOLIO, MARKET = (f"https://{name}.example.com" for name in ("broker", "portfolio", "market"))
EXAMPLES = Path(__file__).parents[2] / "examples"
CALLBACK = "https://web.example.com/callback"


@dataclass
class Town:
    """One vendor, and the web, the broker and two services by the settings of the example."""

    vendor: Vendor
    settings: Settings
    home: Home
    connections: Connections

    async def sign_in(self) -> AccessToken:
        """Code and PKCE, with a browser that is signed in already."""
        login = self.settings.login
        assert login is not None
        client = login.client(self.home)
        metadata = await self.connections.providers.metadata(login.issuer)
        resources = (login.resource,) if login.resource else ()
        pending = begin(client, metadata, redirect_uri=CALLBACK, scopes=login.scopes, resources=resources)
        back = await self.connections.bare.get(pending.url, follow_redirects=False)
        code = validate_callback(pending, httpx.URL(back.headers["location"]).params.multi_items())
        flow = redeem(
            client,
            metadata,
            pending,
            code,
            now=system_clock(),
            resource=login.resource,
            algorithms=login.algorithms,
        )
        return (await drive(flow, self.connections.bare)).access_token

    async def seen_at(self, audience: str, token: AccessToken) -> Principal:
        async def keys(url: str) -> bytes:
            return await fetch(url, self.connections.bare)

        trusted = [each.trusted() for each in self.settings.accepted]
        return await Verifier(trusted, audience, keys, system_clock).verify(token)

    async def next_hop(self, principal: Principal, scope: str = "portfolio:read") -> AccessToken:
        target = Target(PORTFOLIO, (scope,), Grant.OBO)
        return await self.connections.tokens.obtain(target, principal)

    async def caller(self) -> Principal:
        return await self.seen_at(BROKER, await self.sign_in())


def vendor_named(name: str) -> tuple[Vendor, dict[str, str]]:
    """The vendor with the example's applications, and what the operator puts in for its placeholders."""
    if name == "entra":
        entra = Entra(
            secrets={"web-app": "w", "broker-app": "b"}, roles={("broker-app", "market-app"): ["Market.Read"]}
        )
        apps = {f"{one}-APP-ID": f"{one.lower()}-app" for one in ("WEB", "BROKER", "PORTFOLIO", "MARKET")}
        return entra, {"https://login.microsoftonline.com": "ORIGIN", "TENANT": TENANT, **apps}
    clients = {"WEB-CLIENT-ID": "web-client", "BROKER-CLIENT-ID": "broker-client"}
    known = {"web-client": "w", "broker-client": "b"}
    if name == "okta":
        return Okta(secrets=known), {"https://YOUR-ORG.okta.com": "ORIGIN", "SERVER-ID": SERVER, **clients}
    apis = (("broker-client", BROKER), ("portfolio-client", PORTFOLIO), ("market-client", MARKET))
    return Auth0(secrets=known, apis=apis), {"https://YOUR-TENANT.auth0.com": "ORIGIN", **clients}


@asynccontextmanager
async def town_of(name: str, folder: Path) -> AsyncIterator[Town]:
    vendor, placeholders = vendor_named(name)
    async with serving(vendor):
        text = (EXAMPLES / name / "stead.yaml").read_text()
        for placeholder, value in placeholders.items():
            text = text.replace(placeholder, vendor.origin if value == "ORIGIN" else value)
        for who, secret in (("web", "w"), ("broker", "b")):
            (folder / who).write_text(secret)
        settings = Settings(**yaml.safe_load(text.replace("SECRETS", str(folder))))
        home = Home(folder / "home")
        issuer = settings.described(vendor.issuer)
        client = issuer.client_named("broker", home)

        def client_of(other: str) -> Any:
            return settings.described(other).client_named("broker", home)

        async with connected(
            client, home.key("proof"), settings, lambda: __import__("time").time(), client_of
        ) as open_:
            yield Town(vendor, settings, home, open_)


@pytest.fixture(params=["entra", "okta", "auth0"])
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    async with town_of(request.param, tmp_path) as one:
        yield one


async def test_a_person_signs_in_and_is_known_at_the_broker(town: Town) -> None:
    person = await town.caller()
    assert (person.grant, person.actor) == (Grant.LOGIN, None)
    assert "broker:ask" in person.scopes


async def test_the_broker_goes_on_in_the_persons_stead_and_is_the_actor(town: Town) -> None:
    person = await town.caller()
    seen = await town.seen_at(PORTFOLIO, await town.next_hop(person))
    assert (seen.subject, seen.grant) == (person.subject, Grant.OBO)
    assert seen.actor is not None
    assert seen.actor.subject.startswith("broker-")
    assert seen.chain_from == ("token" if isinstance(town.vendor, Auth0) else "asserted")
    assert seen.scopes >= {"portfolio:read"}


async def test_the_example_says_with_whose_keys_the_chain_is_proven(town: Town) -> None:
    person = await town.caller()
    token = await town.next_hop(person)
    me = town.settings.described(town.vendor.issuer).client_named("broker", town.home)
    key, now = town.home.key("broker"), system_clock()
    header = write_receipt(key, me.client_id, person, audience=PORTFOLIO, token=token, now=now)

    async def published(url: str) -> bytes:
        assert url == BROKER + KEYS
        return json.dumps({"keys": [public_jwk(key)]}).encode()

    chains = Chains([each.trusted() for each in town.settings.accepted], PORTFOLIO, published, system_clock)
    seen = await chains.completed(await town.seen_at(PORTFOLIO, token), [(HEADER.encode(), header.encode())])
    assert seen.chain_from == ("token" if isinstance(town.vendor, Auth0) else "receipts")
    assert seen.chain[0].startswith("broker-")


def test_every_example_with_settings_is_run_here() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/stead.yaml")} == {"entra", "okta", "auth0"}


async def test_the_broker_goes_as_itself_and_is_no_person(town: Town) -> None:
    token = await town.connections.tokens.obtain(Target(MARKET, ("market:read",), Grant.S2S), None)
    seen = await town.seen_at(MARKET, token)
    assert seen.is_service
    assert seen.scopes == {"market:read"}


async def test_a_token_of_another_tenant_is_refused(town: Town, tmp_path: Path) -> None:
    mine = await town.sign_in()
    (tmp_path / "other").mkdir()
    name = type(town.vendor).__name__.lower()
    async with town_of(name, tmp_path / "other") as other:
        with pytest.raises(InvalidToken):
            await other.seen_at(BROKER, mine)


async def test_a_dead_subject_token_is_a_dead_credential(town: Town) -> None:
    person = await town.caller()
    town.vendor.key = type(town.vendor.key).generate_key(2048)
    with pytest.raises(InvalidGrant):
        await town.next_hop(person)


KINDS: list[tuple[str, str, type[IdentityError]]] = [
    *((name, "consent", ConsentRequired) for name in ("entra", "okta", "auth0")),
    *((name, "mfa", StepUpRequired) for name in ("entra", "okta", "auth0")),
    *((name, "scope", InvalidScope) for name in ("entra", "okta", "auth0")),
    *((name, "down", ProviderUnavailable) for name in ("entra", "okta", "auth0")),
    ("entra", "target", InvalidTarget),
    ("okta", "policy", AccessDenied),
    ("auth0", "policy", AccessDenied),
]


@pytest.mark.parametrize(("name", "trouble", "kind"), KINDS)
async def test_a_no_is_one_of_ours(name: str, trouble: str, kind: type[IdentityError], tmp_path: Path) -> None:
    async with town_of(name, tmp_path) as town:
        person = await town.caller()
        town.vendor.trouble = {"portfolio:read": trouble, "Portfolio.Read": trouble}
        with pytest.raises(IdentityError) as refused:
            await town.next_hop(person)
        assert type(refused.value) is kind
        if (name, trouble) == ("entra", "mfa"):
            assert refused.value.details["claims"] == CHALLENGE
        town.vendor.trouble = {}
        assert await town.next_hop(person)


async def test_a_wrong_secret_gets_nothing_and_is_not_shown(town: Town) -> None:
    person = await town.caller()
    town.vendor.secrets = dict.fromkeys(town.vendor.secrets, "another")
    with pytest.raises(IdentityError) as refused:
        await town.next_hop(person)
    assert "eyJ" not in str(refused.value)
