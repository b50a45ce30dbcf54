"""Tokens that are bound to a client certificate (RFC 8705), over TLS with real certificates on both sides."""

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from stead.identity.egress import shown
from stead.identity.errors import ConfigurationError
from stead.identity.flows.client_assertion import ASSERTION_TYPE, ClientIdentity, sign_assertion
from stead.identity.home import Home
from stead.identity.server import (
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.serving import listen, serve_at
from stead.identity.tls import TlsFiles, shown_certificate
from stead.identity.values import BoundToken
from tests.server import issuers
from tests.server.certificates import Authority, thumbprint_of
from tests.server.certified import (
    PATH,
    SERVICE,
    World,
    certified_world,
    ledger,
)
from tests.server.parties import Login, claims_of
from tests.server.secured import serving
from tests.server.world import World as Company

_SERVE = """
import sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from stead.identity.home import Home
from stead.identity.serving import serve_at
from stead.identity.settings import Settings
from stead.identity.tls import shown_certificate

def shown(request):
    return JSONResponse({"certificate": shown_certificate(request.scope)})

app = Starlette(routes=[Route("/", shown)])
serve_at(sys.argv[1], lambda: app, how=Settings.load(Home.current()).transport("process"))
"""


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with certified_world(tmp_path_factory.mktemp("tls")) as made:
        yield made


@pytest.fixture(scope="module")
async def tls_company(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    """The whole company's issuer on TLS, and a client that shows a certificate there."""
    home, listener = Home(tmp_path_factory.mktemp("company") / "home"), listen("https://127.0.0.1:0")
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    settings = ServerSettings(url, "FinPort", "corporate", home, "issuer-corporate", certificates=True)
    seed(settings, issuers.corporate_seed(home, url))
    async with (
        serving(authorization_server(settings), world.authority.files("company"), listener),
        httpx.AsyncClient(verify=world.client.client(), trust_env=False, timeout=20) as http,
    ):
        yield Company(issuers.Issuer(settings, issuers.Clock(), home), http)


async def test_a_token_is_bound_to_the_certificate_it_was_asked_for_with(world: World) -> None:
    answer, token = await world.call(world.caller())
    assert answer.status_code == 200, answer.text
    assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint_of(world.client)}
    assert answer.request.headers["authorization"].startswith("Bearer ")
    assert "dpop" not in answer.request.headers


async def test_a_thief_on_another_connection_can_do_nothing_with_it(world: World) -> None:
    _, token = await world.call(world.caller())
    mallory = world.authority.files("mallory")
    for answer in (await world.tries(token, mallory), await world.tries(token, None)):
        assert (answer.status_code, "ledger" in answer.text) == (401, False), answer.text
    assert (await world.tries(token, world.client)).status_code == 200


async def test_no_header_stands_for_a_certificate(world: World) -> None:
    _, token = await world.call(world.caller())
    pem = world.client.certificate.read_text()
    flat = "".join(pem.splitlines()[1:-1])
    for headers in (
        {"client-cert": f":{flat}:"},
        {"x-forwarded-client-cert": f'Hash={thumbprint_of(world.client)};Cert="{flat}"'},
        {"x-ssl-client-cert": flat},
    ):
        assert (await world.tries(token, None, **headers)).status_code == 401


async def test_a_certificate_of_another_authority_ends_the_connection(world: World, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Other authority").files("client", world.authority.file)
    with pytest.raises(httpx.TransportError):
        await world.tries("a.b.c", stranger)


async def test_a_certificate_bound_token_is_not_passed_off_as_a_dpop_token(world: World) -> None:
    _, text = await world.call(world.caller())
    key = ECKey.generate_key("P-256")
    proof = shown(BoundToken(text, key), "POST", f"{world.url}{PATH}")
    assert (await world.tries(text, world.client, **proof)).status_code == 401


async def test_a_key_of_ones_own_goes_before_the_certificate(world: World) -> None:
    answer, token = await world.call(world.caller(binds=False))
    assert answer.status_code == 200, answer.text
    assert set(claims_of(token)["cnf"]) == {"jkt"}
    assert answer.request.headers["authorization"].startswith("DPoP ")


async def test_introspection_tells_of_the_certificate(world: World) -> None:
    _, token = await world.call(world.caller())
    said = (await _post(world, SERVICE, "/introspect", token=token)).json()
    assert (said["token_type"], said["cnf"]) == ("Bearer", {"x5t#S256": thumbprint_of(world.client)})


async def test_the_metadata_says_that_tokens_are_bound_to_certificates(world: World) -> None:
    async with httpx.AsyncClient(verify=world.client.client(), trust_env=False) as http:
        document = (await http.get(f"{world.issuer}/.well-known/oauth-authorization-server")).json()
        service = (await http.get(f"{world.url}/.well-known/oauth-protected-resource")).json()
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert service["tls_client_certificate_bound_access_tokens"] is True
    assert "dpop_bound_access_tokens_required" not in service


async def test_bound_stays_bound_to_the_certificate_of_whoever_exchanges(tls_company: Company, world: World) -> None:
    subject = (await tls_company.login())["access_token"]
    assert claims_of(subject)["cnf"] == {"x5t#S256": thumbprint_of(world.client)}
    target = [("resource", issuers.PORTFOLIO), ("scope", "portfolio:read")]
    broker = world.authority.files("broker")
    async with httpx.AsyncClient(verify=broker.client(), trust_env=False) as http:
        body = (await replace(tls_company.broker, http=http).exchange(subject, *target)).json()
    assert (body["token_type"], claims_of(body["access_token"])["cnf"]) == (
        "Bearer",
        {"x5t#S256": thumbprint_of(broker)},
    )
    plain = ssl.create_default_context(cafile=str(world.authority.file))
    async with httpx.AsyncClient(verify=plain, trust_env=False) as http:
        refused = await replace(tls_company.broker, http=http).exchange(subject, *target)
    assert (refused.status_code, "bound" in refused.json()["error_description"]) == (400, True)


async def test_a_stolen_refresh_token_of_a_public_client_is_good_with_its_certificate_only(
    tls_company: Company, world: World
) -> None:
    """RFC 8705 s4: nothing else says that it is that client."""
    login, shell = Login(), tls_company.party("stead-cli", public=True, redirect_uri="http://127.0.0.1/callback")
    code = await tls_company.code(login, "alice", "openid broker:ask", issuers.BROKER, party=shell)
    kept = (await tls_company.redeem(login, code, party=shell)).json()["refresh_token"]
    renewal = (("grant_type", "refresh_token"), ("refresh_token", kept))
    thief = world.authority.files("thief").client()
    for context in (thief, ssl.create_default_context(cafile=str(world.authority.file))):
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            refused = await replace(shell, http=http).token(*renewal)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant"), refused.text
    renewed = await shell.token(*renewal)
    assert claims_of(renewed.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint_of(world.client)}


async def test_the_issuer_itself_takes_it_over_its_connection_only(tls_company: Company, world: World) -> None:
    login = Login()
    code = await tls_company.code(login, "alice", "openid profile")
    subject = (await tls_company.redeem(login, code)).json()["access_token"]
    url, sent = f"{tls_company.issuer.url}/userinfo", {"authorization": f"Bearer {subject}"}
    for files, status in ((world.client, 200), (world.authority.files("eve"), 401)):
        async with httpx.AsyncClient(verify=files.client(), trust_env=False) as http:
            assert (await http.get(url, headers=sent)).status_code == status


async def test_a_process_serves_where_it_is_told_to_with_its_certificate(world: World, tmp_path: Path) -> None:
    files = world.authority.files("process")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"https://127.0.0.1:{probe.getsockname()[1]}"
    said = {"certificate": str(files.certificate), "key": str(files.key), "authorities": str(files.authorities)}
    environment = {**os.environ, "STEAD_HOME": str(tmp_path / "home"), "STEAD_TLS": json.dumps(said)}
    environment["STEAD_LISTEN"] = url
    public = "https://ledger.example:443"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVE, public, env=environment)
    try:
        async with httpx.AsyncClient(verify=world.client.client(), trust_env=False) as http:
            transport = httpx.AsyncHTTPTransport(verify=world.client.client(), retries=6, trust_env=False)
            async with httpx.AsyncClient(transport=transport) as patient:
                assert (await patient.get(url)).json() == {"certificate": thumbprint_of(world.client)}
            with pytest.raises(httpx.TransportError):
                await http.get(url.replace("https", "http"))
    finally:
        process.terminate()
        await process.wait()


def test_an_https_address_is_not_served_without_a_certificate() -> None:
    with pytest.raises(ConfigurationError, match="certificate"):
        serve_at("https://127.0.0.1:8443", lambda: ledger)


def test_files_that_are_no_certificates_are_named_as_such(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text("")
    for files in (TlsFiles(file, file, file), TlsFiles(tmp_path / "none", file, file)):
        with pytest.raises(ConfigurationError, match="tls"):
            files.client()


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"extensions": None},
        {"extensions": {"tls": {"client_cert_chain": []}}},
        {"extensions": {"tls": {"client_cert_chain": ["no certificate"]}}},
        {"extensions": {"tls": {"client_cert_chain": ["x"], "client_cert_error": "expired"}}},
    ],
    ids=str,
)
def test_a_connection_without_a_good_certificate_shows_none(shown: dict[str, Any]) -> None:
    assert shown_certificate(shown) is None


async def _post(world: World, client_id: str, path: str, **form: str) -> httpx.Response:
    client = ClientIdentity(client_id, world.home.key(client_id), world.issuer)
    asserted = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign_assertion(client, time.time())}
    async with httpx.AsyncClient(verify=world.client.client(), trust_env=False) as http:
        return await http.post(f"{world.issuer}{path}", data={**form, **asserted})
