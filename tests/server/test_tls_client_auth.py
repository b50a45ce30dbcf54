"""Clients that are known by the certificate of their connection (RFC 8705 s2), over TLS with real certificates."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stead.identity.client_certificates import KnownCertificate
from stead.identity.driver import drive
from stead.identity.errors import ConfigurationError, GrantRefused, InvalidToken
from stead.identity.flows import ClientIdentity, Metadata, discover, s2s
from stead.identity.flows.client_assertion import ASSERTION_TYPE, sign_assertion
from stead.identity.home import Home
from stead.identity.server import ServerSettings, authorization_server, seed
from stead.identity.serving import listen
from stead.identity.settings import Settings
from stead.identity.tls import TlsFiles
from stead.identity.workload_settings import ClientCertificateSettings, TlsSettings
from tests.server import issuers
from tests.server.certificates import LOOPBACK, Authority, self_signed, thumbprint_of
from tests.server.issuers import TRAIL
from tests.server.parties import claims_of
from tests.server.secured import serving

BROKER, PARTNER = "urn:stead:broker", "transfer-agent"


@dataclass
class World:
    """An issuer on TLS: the broker is known to it by a name, the Transfer agent by a certificate that it signed."""

    home: Home
    authority: Authority
    url: str
    metadata: Metadata
    broker: TlsFiles
    partner: TlsFiles

    async def asks(self, client_id: str, context: ssl.SSLContext, key: Any = None) -> str:
        """A service's token. Without `key` only the connection says who asks."""
        client = ClientIdentity(client_id, key, self.url, mutual_tls=True)
        flow = s2s(client, self.metadata, audience=TRAIL, scopes=["audit:write"], now=issuers.Clock()())
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            return (await drive(flow, http)).access_token.reveal()

    async def refused(self, client_id: str, context: ssl.SSLContext, key: Any = None) -> str:
        with pytest.raises(GrantRefused) as refused:
            await self.asks(client_id, context, key)
        assert refused.value.details["error"] == "invalid_client"
        return refused.value.description

    async def post(self, path: str, context: ssl.SSLContext, form: Mapping[str, str], **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            return await http.post(f"{self.url}{path}", data=dict(form), headers=headers)

    @property
    def unknown(self) -> ssl.SSLContext:
        """A connection that shows no certificate."""
        return ssl.create_default_context(cafile=str(self.authority.file))


def named(name: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(name)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("clients")
    home, authority = Home(folder / "home"), Authority(folder)
    own, broker = authority.files("server"), authority.files("broker", None, named(BROKER))
    partner = self_signed(folder, "partner", authority.file)
    known = {
        "broker": KnownCertificate(san_uri=BROKER),
        PARTNER: KnownCertificate(file=partner.certificate),
        "nobody": KnownCertificate(san_uri=BROKER),
    }
    listener = listen("https://127.0.0.1:0")
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    settings = ServerSettings(
        url, "FinPort", "corporate", home, "issuer-corporate", certificates=True, client_certificates=known
    )
    seed(settings, issuers.corporate_seed(home, url))
    async with (
        serving(authorization_server(settings), own, listener, [known[PARTNER]]),
        httpx.AsyncClient(verify=own.client(), trust_env=False) as http,
    ):
        yield World(home, authority, url, await drive(discover(url), http), broker, partner)


async def test_a_client_is_known_by_the_name_in_its_certificate_and_sends_no_assertion(world: World) -> None:
    claims = claims_of(await world.asks("broker", world.broker.client()))
    assert claims["client_id"] == "broker"
    assert claims["cnf"] == {"x5t#S256": thumbprint_of(world.broker)}


async def test_a_client_is_known_by_the_certificate_that_it_signed_itself(world: World) -> None:
    claims = claims_of(await world.asks(PARTNER, world.partner.client()))
    assert claims["client_id"] == PARTNER
    assert claims["cnf"] == {"x5t#S256": thumbprint_of(world.partner)}


async def test_a_colleagues_certificate_of_the_same_authority_is_refused(world: World) -> None:
    mallory = world.authority.files("mallory", None, named("urn:stead:mallory"))
    assert "not this client's" in await world.refused("broker", mallory.client())
    assert "not this client's" in await world.refused(PARTNER, world.broker.client())


async def test_without_a_certificate_a_client_is_nobody_and_no_header_stands_for_one(world: World) -> None:
    assert "shows none" in await world.refused("broker", world.unknown)
    form = {"grant_type": "client_credentials", "client_id": "broker", "resource": TRAIL, "scope": "audit:write"}
    flat = "".join(world.broker.certificate.read_text().splitlines()[1:-1])
    for header in ("client-cert", "x-forwarded-client-cert", "x-ssl-client-cert"):
        answer = await world.post("/token", world.unknown, form, **{header: flat})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client"), answer.text


async def test_the_key_of_a_client_that_is_known_by_its_certificate_opens_nothing(world: World) -> None:
    """Otherwise its certificate would add a way in, and take none away."""
    key = world.home.key("broker")
    for context in (world.unknown, world.broker.client()):
        assert "by its certificate" in await world.refused("broker", context, key)
    form = {"grant_type": "client_credentials", "resource": TRAIL, "scope": "audit:write"}
    assertion = sign_assertion(ClientIdentity("broker", key, world.url), issuers.Clock()())
    unnamed = {**form, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    answer = await world.post("/token", world.broker.client(), unnamed)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client"), answer.text


async def test_other_clients_are_known_by_their_keys_as_before(world: World) -> None:
    context = world.authority.files("portfolio").client()
    claims = claims_of(await world.asks("portfolio-agent", context, world.home.key("portfolio-agent")))
    assert claims["client_id"] == "portfolio-agent"
    assert "not authenticated" in await world.refused("portfolio-agent", context)


async def test_a_name_in_the_settings_that_nobody_registered_is_refused(world: World) -> None:
    assert "not registered" in await world.refused("nobody", world.broker.client())


async def test_a_stranger_who_signs_for_itself_ends_at_the_handshake_whatever_it_calls_itself(
    world: World, tmp_path: Path
) -> None:
    for name in ("partner", "broker"):
        stranger = self_signed(tmp_path, name, world.authority.file)
        with pytest.raises(httpx.TransportError):
            await world.post("/token", stranger.client(), {})


async def test_a_client_that_signs_for_itself_cannot_sign_for_others(world: World, tmp_path: Path) -> None:
    """Its certificate is believed for itself, and is the issuer of nothing."""
    forged = self_signed(tmp_path, "forger", world.authority.file, signs="forged")
    own, listener = world.authority.files("lenient"), listen("https://127.0.0.1:0")
    known = KnownCertificate(file=tmp_path / "forger.crt")
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    genuine = TlsFiles(tmp_path / "forger.crt", tmp_path / "forger.key", world.authority.file)
    async with serving(app, own, listener, [known]):
        async with httpx.AsyncClient(verify=genuine.client(), trust_env=False) as http:
            assert (await http.get(url)).status_code == 204
        async with httpx.AsyncClient(verify=forged.client(), trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(url)


@pytest.mark.parametrize("authority", [True, None], ids=["an authority", "does not say"])
def test_a_certificate_that_could_vouch_for_others_is_not_taken_from_a_client(
    tmp_path: Path, authority: bool | None
) -> None:
    files = self_signed(tmp_path, "partner", tmp_path, authority=authority)
    with pytest.raises(ConfigurationError, match="signed itself"):
        KnownCertificate(file=files.certificate).own()


def test_a_client_changes_over_by_two_certificates_in_its_file_and_the_former_one_ends_with_its_line(
    tmp_path: Path,
) -> None:
    former, newer = (self_signed(tmp_path, name, tmp_path).certificate.read_text() for name in ("former", "newer"))
    file = tmp_path / "partner.pem"
    partner = KnownCertificate(file=file)
    file.write_text(former + newer)
    for pem in (former, newer):
        partner.check(pem)
    file.write_text(newer)
    partner.check(newer)
    with pytest.raises(InvalidToken, match="not this client's"):
        partner.check(former)


def test_a_certificate_that_somebody_else_signed_is_not_one_that_a_client_signed(tmp_path: Path) -> None:
    files = Authority(tmp_path).files("issued")
    for path in (files.certificate, files.key, tmp_path / "none.pem"):
        with pytest.raises(ConfigurationError, match="signed itself"):
            KnownCertificate(file=path).own()


NAMES: Mapping[str, tuple[str, str, x509.GeneralName]] = {
    "san_dns": ("Broker.finport.example", "finport.example", x509.DNSName("broker.finport.example")),
    "san_uri": ("spiffe://finport/broker", "spiffe://finport/broke", named("spiffe://finport/broker")),
    "san_ip": ("2001:db8:0::7", "2001:db8::70", x509.IPAddress(ipaddress.ip_address("2001:db8::7"))),
    "san_email": ("broker@finport.example", "broker@finport.examples", x509.RFC822Name("broker@finport.example")),
}
"""What the settings say, what is not quite that, and the name in the certificate."""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A certificate with a name of each kind, none of them one of ours."""
    names = [x509.DNSName("else.example"), named("urn:else"), LOOPBACK, x509.RFC822Name("somebody@else.example")]
    return Authority(tmp_path_factory.mktemp("elsewhere")).der("elsewhere", [x509.SubjectAlternativeName(names)])


def known(member: str, value: str) -> KnownCertificate:
    return ClientCertificateSettings.model_validate({member: value}).known()


@pytest.mark.parametrize("member", NAMES)
def test_each_kind_of_name_counts_in_its_own_place_only(tmp_path: Path, member: str) -> None:
    said, _, name = NAMES[member]
    pem = Authority(tmp_path).files("subject", None, name).certificate.read_text()
    known(member, said).check(pem)
    elsewhere = [known(other, NAMES[other][0]) for other in NAMES if other != member]
    for other in (*elsewhere, known(member, NAMES[member][1])):
        with pytest.raises(InvalidToken, match="not this client's"):
            other.check(pem)


def test_a_subject_counts_as_a_whole_and_not_by_its_last_part(tmp_path: Path) -> None:
    pem = Authority(tmp_path).files("broker").certificate.read_text()
    KnownCertificate(subject_dn="CN=broker").check(pem)
    for said in ("CN=broker,O=FinPort", "CN=Broker", "O=broker", "CN=broke"):
        with pytest.raises(InvalidToken, match="not this client's"):
            KnownCertificate(subject_dn=said).check(pem)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(place=st.integers(0, 2_000), value=st.integers(0, 255), cut=st.integers(0, 60))
@example(place=12, value=1, cut=20)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_certificate_is_refused_and_no_crash(elsewhere: bytes, place: int, value: int, cut: int) -> None:
    """Behind a proxy, any bytes may come."""
    damaged = bytearray(elsewhere)
    damaged[place % len(damaged)] = value
    pem = ssl.DER_cert_to_PEM_cert(bytes(damaged[: len(damaged) - (cut if cut < 20 else 0)]))
    for each in (*(known(member, said) for member, (said, _, _) in NAMES.items()), KnownCertificate(subject_dn="CN=x")):
        with pytest.raises(InvalidToken):
            each.check(pem)


def test_a_certificate_that_says_something_twice_says_nothing(tmp_path: Path) -> None:
    """Its parser raises what is no `ValueError` there."""
    pair = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.4.{last}"), b"\x05\x00") for last in (4, 5)]
    der = Authority(tmp_path).der("odd", [x509.SubjectAlternativeName([named("urn:odd")]), *pair])
    known("san_uri", "urn:odd").check(ssl.DER_cert_to_PEM_cert(der))
    twice = der.replace(bytes.fromhex("06042a030405"), bytes.fromhex("06042a030404"))
    with pytest.raises(InvalidToken, match="shows none"):
        known("san_uri", "urn:odd").check(ssl.DER_cert_to_PEM_cert(twice))


def test_one_that_vouches_for_itself_has_no_name_that_counts(tmp_path: Path) -> None:
    pem = self_signed(tmp_path, "broker", tmp_path).certificate.read_text()
    with pytest.raises(InvalidToken, match="not this client's"):
        KnownCertificate(subject_dn="CN=broker").check(pem)


async def test_every_endpoint_that_knows_clients_knows_them_by_certificate(world: World) -> None:
    context, partner = world.broker.client(), world.partner.client()
    token = await world.asks("broker", context)
    sent = {"client_id": "broker", "token": token}
    assert (await world.post("/introspect", context, sent)).json() == {"active": False}
    assert (await world.post("/revoke", context, sent)).status_code == 200
    pushed = await world.post("/par", partner, {"client_id": PARTNER, "response_type": "code"})
    assert pushed.json()["error"] == "invalid_request", pushed.text
    for path in ("/introspect", "/revoke", "/par"):
        assert (await world.post(path, world.unknown, sent)).json()["error"] == "invalid_client"


async def test_the_metadata_says_how_clients_may_prove_themselves(world: World) -> None:
    said = world.metadata.document
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(said["token_endpoint_auth_methods_supported"])
    assert said["tls_client_certificate_bound_access_tokens"] is True


def test_an_issuer_without_tls_refuses_to_know_clients_by_certificates_that_it_never_sees(tmp_path: Path) -> None:
    known = {"broker": KnownCertificate(san_uri=BROKER)}
    with pytest.raises(ConfigurationError, match="not on TLS"):
        ServerSettings("http://127.0.0.1:1", "x", "bank", Home(tmp_path), "x", client_certificates=known)


@pytest.mark.parametrize(
    "said",
    [{}, {"san_dns": "a.example", "san_uri": "urn:a"}, {"subject_dn": "broker"}, {"san_ip": "broker"}],
    ids=["nothing", "two things", "no subject", "no address"],
)
def test_a_setting_says_one_thing_that_can_be_true(said: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|distinguished name|address"):
        ClientCertificateSettings.model_validate(said)


def test_proving_oneself_by_certificate_needs_one(tmp_path: Path) -> None:
    issuer = {"issuer": "https://idp.example", "client_auth": "tls_client_auth"}
    with pytest.raises(ValueError, match="needs `tls`"):
        Settings.model_validate({"issuers": [issuer]})
    tls = TlsSettings(certificate=tmp_path, key=tmp_path, authorities=tmp_path)
    settings = Settings.model_validate({"issuers": [issuer], "tls": tls})
    client = settings.issuers[0].client_named("broker", Home(tmp_path))
    assert (client.mutual_tls, client.key) == (True, None)
