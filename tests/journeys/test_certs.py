"""`stead certs`: a certificate authority for one machine, and a network that is told to use it."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from stead.demo.cli import certs
from stead.demo.cli.doctor import _certificates
from stead.demo.network import certificates
from stead.demo.network.addresses import network_of
from stead.demo.network.catalogue import SERVICES
from stead.demo.network.certificates import AUTHORITY, Authority
from stead.identity.effective import doubts
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home
from stead.identity.settings import FILE, Settings
from tests.server.certificates import thumbprint_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("STEAD_HOME", str(tmp_path / "home"))
    return Home.current()


def settings_of(home: Home) -> Settings:
    return Settings.load(home)


def thumbprint(home: Home, name: str) -> str:
    tls = settings_of(home).tls
    assert tls is not None
    return thumbprint_of(tls.files(name))


def test_every_service_gets_a_certificate_of_its_own_and_the_settings_name_it(home: Home) -> None:
    certs.issue([], json=True)
    tls = settings_of(home).tls
    assert tls is not None
    assert tls.binds
    for service in SERVICES:
        tls.files(service.name).server()
    assert doubts(home) == []
    assert len({thumbprint(home, service.name) for service in SERVICES}) == len(SERVICES)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (home.path / "tls").iterdir())


def test_what_the_operator_wrote_stays_and_a_section_that_is_there_is_not_touched(home: Home) -> None:
    home.write(FILE, b"# mine\ndpop: always")
    certs.issue([], json=True)
    text = (home.path / FILE).read_text()
    assert text.startswith("# mine\ndpop: always\n")
    assert set(yaml.safe_load(text)) == {"dpop", "tls"}
    certs.issue([], json=True)
    assert (home.path / FILE).read_text() == text


def test_settings_that_cannot_be_added_to_are_left_alone(home: Home) -> None:
    home.write(FILE, b"{dpop: always}\n")
    with pytest.raises(ConfigurationError, match="cannot be added to"):
        certs.issue([], json=True)
    assert (home.path / FILE).read_bytes() == b"{dpop: always}\n"


def test_the_same_authority_issues_again_to_whom_is_named_and_to_nobody_else(home: Home) -> None:
    certs.issue([], json=True)
    authority = (home.path / "tls" / f"{AUTHORITY}.pem").read_bytes()
    before = {service.name: thumbprint(home, service.name) for service in SERVICES}
    certs.issue(["broker"], json=True)
    changed = {name for name, seen in before.items() if thumbprint(home, name) != seen}
    assert changed == {"broker"}
    assert (home.path / "tls" / f"{AUTHORITY}.pem").read_bytes() == authority


def test_a_service_that_nobody_knows_gets_no_certificate(home: Home) -> None:
    for name in ("nobody", "../keys/broker"):
        with pytest.raises(InvalidRequest, match="no service"):
            certs.issue([name], json=True)
    assert not (home.path / "tls").exists()


def test_the_authority_vouches_for_this_machine_and_for_no_other_host(home: Home) -> None:
    """What believes it stays as safe as before, even where its key is stolen (RFC 5280 s4.2.1.10)."""
    authority = Authority.of(home)
    issued = authority.issue(home, "elsewhere", "192.0.2.7")
    limits = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        _meet(issued, home)


def test_addresses_of_the_other_kind_are_named_and_not_quietly_changed(home: Home) -> None:
    recorded = network_of(home)
    certs.issue([], json=True)
    with pytest.raises(ConfigurationError, match="settings say tls") as refused:
        network_of(home)
    assert "--fresh" in str(refused.value.hint)
    assert home.network == recorded
    assert network_of(home, fresh=True).broker.startswith("https://")


def test_the_doctor_names_a_certificate_that_ends_soon_and_one_that_is_not_there(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    certs.issue([], json=True)
    monkeypatch.setattr(certificates, "_LIVES", timedelta(days=3))
    certs.issue(["broker"], json=True)
    (home.path / "tls" / "trail.pem").unlink()
    bad = {Path(one.what).stem: one.told for one in _certificates(settings_of(home)) if not one.good}
    assert bad == {"broker": "good for 3 days", "trail": "is no certificate, or not there"}


def test_an_authority_that_is_not_readable_is_named(home: Home) -> None:
    certs.issue([], json=True)
    home.write(f"tls/{AUTHORITY}-key.pem", b"nothing")
    with pytest.raises(ConfigurationError, match="not readable"):
        certs.issue([], json=True)


def _meet(certificate: Path, home: Home) -> None:
    """A handshake in memory with a server of this certificate."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, certificate.with_name(f"{certificate.stem}-key.pem"))
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_verify_locations(home.path / "tls" / f"{AUTHORITY}.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(to_client, to_server, server_hostname="192.0.2.7")
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
