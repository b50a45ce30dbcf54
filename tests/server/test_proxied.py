"""A proxy that ends TLS in front of a service, and says which certificate the client showed it (RFC 9440)."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stead.identity.client_certificates import KnownCertificate
from stead.identity.proxied import Proxied
from stead.identity.serving import listen
from stead.identity.settings import Settings
from stead.identity.tls import TlsFiles, shown_pem
from stead.identity.transport import Transport
from stead.identity.types import ASGIApp
from stead.identity.workload_settings import ClientCertificateSettings, TlsSettings
from tests.server.certificates import thumbprint_of
from tests.server.certified import PATH, World, certified_world, protected
from tests.server.parties import claims_of
from tests.server.secured import serving

PROXY = "proxy.finport.example"
KNOWN = KnownCertificate(san_dns=PROXY)


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)


def header(certificate: bytes) -> str:
    return f":{b64encode(certificate).decode()}:"


def proxy_to(url: str, shown: ssl.SSLContext) -> ASGIApp:
    """What a proxy does: it asks for the client's certificate, and says of it whatever anybody said before."""

    async def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "client-cert")}
        pem = shown_pem(request.scope)
        told = {} if pem is None else {"client-cert": header(der(pem))}
        async with httpx.AsyncClient(verify=shown, trust_env=False) as http:
            answer = await http.post(f"{url}{request.url.path}", content=await request.body(), headers=headers | told)
        return Response(answer.content, answer.status_code)

    return Starlette(routes=[Route(PATH, forward, methods=["POST"])])


@dataclass
class Front:
    """The proxy, and the service behind it, which is reached at `behind` as well."""

    world: World
    url: str
    behind: str
    proxy: TlsFiles

    async def post(self, url: str, token: str, files: TlsFiles | None, *told: str) -> int:
        context = ssl.create_default_context(cafile=str(self.world.authority.file))
        sent = [("authorization", f"Bearer {token}"), *(("client-cert", one) for one in told)]
        async with httpx.AsyncClient(verify=files.client() if files else context, trust_env=False) as http:
            return (await http.post(f"{url}{PATH}", json={}, headers=sent)).status_code


@pytest.fixture(scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with AsyncExitStack() as running:
        world = await running.enter_async_context(certified_world(tmp_path_factory.mktemp("proxied")))
        proxy = world.authority.files("proxy", None, x509.DNSName(PROXY))
        listeners = [listen("https://127.0.0.1:0") for _ in range(2)]
        url, behind = (f"https://127.0.0.1:{one.getsockname()[1]}" for one in listeners)
        service = Proxied(protected(world.service), [KNOWN])
        await running.enter_async_context(serving(service, world.own, listeners[1]))
        await running.enter_async_context(serving(proxy_to(behind, proxy.client()), proxy, listeners[0]))
        yield Front(world, url, behind, proxy)


@pytest.fixture
async def token(front: Front) -> str:
    answer, token = await front.world.call(front.world.caller())
    assert answer.status_code == 200
    return token


async def test_a_bound_token_is_good_through_the_proxy_for_who_showed_its_certificate_there(
    front: Front, token: str
) -> None:
    assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint_of(front.world.client)}
    assert await front.post(front.url, token, front.world.client) == 200


async def test_a_thief_comes_to_nothing_through_the_proxy_whatever_they_say_of_themselves(
    front: Front, token: str
) -> None:
    victim = header(der(front.world.client.certificate.read_text()))
    mallory = front.world.authority.files("mallory")
    for files in (mallory, None):
        assert await front.post(front.url, token, files) == 401
        assert await front.post(front.url, token, files, victim) == 401


async def test_forged_header_a_thief_who_is_no_proxy_is_not_believed_beside_it(front: Front, token: str) -> None:
    victim = header(der(front.world.client.certificate.read_text()))
    mallory = front.world.authority.files("mallory")
    for files in (mallory, None):
        assert await front.post(front.behind, token, files, victim) == 401
    assert await front.post(front.behind, token, front.world.client, header(b"anything")) == 200


async def test_the_proxys_own_certificate_is_nobodys(front: Front) -> None:
    """Else whoever comes through without a certificate would be the proxy."""
    _, token = await front.world.call(front.world.caller(front.proxy))
    assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint_of(front.proxy)}
    assert await front.post(front.behind, token, front.proxy) == 401
    assert await front.post(front.url, token, None) == 401


async def test_what_the_proxy_says_twice_or_badly_is_no_certificate(front: Front, token: str) -> None:
    good = header(der(front.world.client.certificate.read_text()))
    assert await front.post(front.behind, token, front.proxy, good) == 200
    for told in ((good, good), (good[1:],), (good[:-1],), (good[1:-1],), ("::",), (":!:",), (f"{good}, {good}",)):
        assert await front.post(front.behind, token, front.proxy, *told) == 401, told


def test_without_the_setting_no_proxy_is_believed() -> None:
    assert Settings().transport("broker") == Transport()


def test_a_proxy_is_named_and_the_service_listens_elsewhere(front: Front) -> None:
    own = front.world.own
    named = ClientCertificateSettings(san_dns=PROXY)
    tls = TlsSettings(certificate=own.certificate, key=own.key, authorities=own.authorities, proxies=(named,))
    how = Settings(tls=tls, listen="https://127.0.0.1:9443").transport("broker")
    assert (how.listen, how.proxies) == ("https://127.0.0.1:9443", (KNOWN,))
