"""Workloads that npm's oidc-provider knows by their certificates, and whose tokens it binds to them (RFC 8705)."""

import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from stead.identity.client_certificates import KnownCertificate
from stead.identity.egress import Target
from stead.identity.errors import GrantRefused
from stead.identity.home import Home, public_jwk
from stead.identity.ingress import Operation
from stead.identity.issuer_settings import ClientAuth, IssuerSettings
from stead.identity.policy import Policy, declared
from stead.identity.serving import listen
from stead.identity.settings import Settings
from stead.identity.tls import TlsFiles
from stead.identity.types import Json, Receive, Scope, Send
from stead.identity.values import Grant
from stead.identity.workload import Workload
from stead.identity.workload_settings import TlsSettings
from tests.providers.oidc_provider import available, oidc_provider
from tests.server.certificates import Authority, self_signed, thumbprint_of
from tests.server.parties import claims_of
from tests.server.secured import serving

pytestmark = [
    pytest.mark.skipif(not available(), reason="oidc-provider is not installed: run `make test`"),
    pytest.mark.timeout(60),
]
SCOPES = ("ledger:write",)
NAMED, KEYED, PARTNER, LEDGER = "broker", "portfolio-agent", "partner", "ledger"


async def ledger(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def describe(scope: Scope, document: Json) -> Operation | None:
    return Operation("tools/call", "ledger.enter", document, effects=True)


@dataclass
class World:
    """The provider, its clients' certificates, and a ledger of ours that takes its tokens."""

    home: Home
    authority: Authority
    issuer: str
    url: str
    files: dict[str, TlsFiles]

    def workload(self, name: str, how: ClientAuth, files: TlsFiles | None = None, url: str | None = None) -> Workload:
        own = files or self.files[name]
        tls = TlsSettings(certificate=own.certificate, key=own.key, authorities=own.authorities, binds=True)
        issuer = IssuerSettings(issuer=self.issuer, client_auth=how, services={"client_id": ".+"})
        settings = Settings(issuer=self.issuer, issuers=(issuer,), tls=tls)
        return Workload.open(name, url=url, home=self.home, settings=settings)

    async def enters(self, caller: Workload) -> tuple[int, str]:
        """An entry in the ledger: the answer, and the token that it went with."""
        target = Target(self.url, SCOPES, Grant.S2S, effects=True)
        async with caller, caller.hop(target, operation="tools/call", resource="ledger.enter") as hop:
            answer = await caller.http.post(f"{self.url}/entries", json={})
            return answer.status_code, hop.token.reveal()

    async def tries(self, token: str, context: ssl.SSLContext) -> int:
        async with httpx.AsyncClient(verify=context, trust_env=False) as thief:
            sent = {"authorization": f"Bearer {token}"}
            return (await thief.post(f"{self.url}/entries", json={}, headers=sent)).status_code


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("certified")
    home, authority = Home(folder / "home"), Authority(folder)
    files = {name: authority.files(name, None, urn(name)) for name in (NAMED, KEYED, LEDGER, "idp")}
    files[PARTNER] = self_signed(folder, PARTNER, authority.file)
    listener = listen("https://127.0.0.1:0")
    issuer, alias = free(), free()
    world = World(home, authority, issuer, f"https://127.0.0.1:{listener.getsockname()[1]}", files)
    service = world.workload(LEDGER, "tls_client_auth", url=world.url)
    app = service.protect(
        ledger,
        describe=describe,
        policy=Policy([declared("ledger.enter", Grant.S2S, list(SCOPES))]),
        scopes=SCOPES,
        protocol="http",
    )
    async with (
        oidc_provider("certified.mjs", told(world, alias), folder / "provider.log"),
        serving(app, files[LEDGER], listener, [KnownCertificate(file=files[PARTNER].certificate)]),
    ):
        yield world


def told(world: World, alias: str) -> dict[str, Any]:
    key = ECKey.generate_key("P-256", {"kid": "provider-1", "alg": "ES256", "use": "sig"})
    own = world.files["idp"]
    return {
        "issuer": world.issuer,
        "alias": alias,
        "certificate": str(own.certificate),
        "key": str(own.key),
        "authorities": str(own.authorities),
        "keys": {"keys": [key.as_dict(private=True)]},
        "resource": world.url,
        "scope": " ".join(SCOPES),
        "clients": [
            {
                "client_id": NAMED,
                "token_endpoint_auth_method": "tls_client_auth",
                "tls_client_auth_san_uri": f"urn:stead:{NAMED}",
            },
            {
                "client_id": PARTNER,
                "token_endpoint_auth_method": "self_signed_tls_client_auth",
                "jwks": {"keys": [certified_jwk(world.files[PARTNER])]},
            },
            {
                "client_id": KEYED,
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks": {"keys": [public_jwk(world.home.key(KEYED))]},
            },
        ],
    }


def certified_jwk(files: TlsFiles) -> dict[str, Any]:
    """The registered form of a certificate that a client signed itself (RFC 8705 s2.2.2)."""
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = ECKey.import_key(public)
    return {**key.as_dict(private=False), "x5c": [b64encode(certificate.public_bytes(Encoding.DER)).decode()]}


def urn(name: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(f"urn:stead:{name}")


def free() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"https://127.0.0.1:{probe.getsockname()[1]}"


CLIENTS: tuple[tuple[str, ClientAuth], ...] = (
    (NAMED, "tls_client_auth"),
    (PARTNER, "self_signed_tls_client_auth"),
    (KEYED, "private_key_jwt"),
)


@pytest.mark.parametrize(("name", "how"), CLIENTS)
async def test_a_foreign_provider_knows_the_client_and_binds_its_token_to_the_certificate(
    world: World, name: str, how: ClientAuth
) -> None:
    status, token = await world.enters(world.workload(name, how))
    assert status == 204
    assert claims_of(token)["client_id"] == name
    assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint_of(world.files[name])}


async def test_its_token_stolen_is_of_no_use_on_another_connection(world: World) -> None:
    _, token = await world.enters(world.workload(NAMED, "tls_client_auth"))
    others = [world.files[KEYED].client(), world.files[PARTNER].client()]
    none = ssl.create_default_context(cafile=str(world.authority.file))
    assert [await world.tries(token, context) for context in (*others, none)] == [401, 401, 401]
    assert await world.tries(token, world.files[NAMED].client()) == 204


async def test_a_foreign_provider_refuses_who_shows_somebody_elses_certificate(world: World, tmp_path: Path) -> None:
    stranger = self_signed(tmp_path, PARTNER, world.authority.file)
    for (name, how), files in zip(CLIENTS[:2], (world.files[KEYED], stranger), strict=True):
        with pytest.raises(GrantRefused) as refused:
            await world.enters(world.workload(name, how, files))
        assert refused.value.details["error"] == "invalid_client"
