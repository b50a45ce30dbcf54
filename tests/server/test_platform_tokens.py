"""A workload that its platform vouches for, over HTTP: a token from a file is its client authentication."""

import hmac
import json
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from stead.identity.driver import drive
from stead.identity.errors import GrantRefused, InvalidToken, ProviderUnavailable
from stead.identity.flows import ClientIdentity, Metadata, discover, s2s
from stead.identity.flows.platform_token import TYPES, PlatformToken
from stead.identity.home import Home
from stead.identity.platform_tokens import TrustedWorkload, check_platform_token
from stead.identity.settings import Settings
from stead.identity.workload import Workload
from stead.identity.workload_settings import WorkloadTokenSettings
from tests.server.issuers import TRAIL, Issuer, corporate_seed, issuer_of
from tests.server.parties import claims_of
from tests.server.world import World

CLUSTER, SERVICE_ACCOUNT = "https://kubernetes.default.svc", "system:serviceaccount:finport:broker"
SVID = "spiffe://finport.example/ns/finport/sa/trail"
CLUSTER_KEY = RSAKey.generate_key(2048, {"kid": "cluster-1", "alg": "RS256", "use": "sig"})
TRUST_DOMAIN_KEY = ECKey.generate_key("P-256", {"kid": "domain-1"})


@dataclass
class Platform:
    """A cluster (and a trust domain) that writes tokens to files, and an issuer that takes its word."""

    issuer: Issuer
    folder: Path
    http: httpx.AsyncClient
    metadata: Metadata

    @property
    def file(self) -> Path:
        return self.folder / "token"

    def says(self, key: Any = CLUSTER_KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(self.issuer.clock())
        claims = {
            "iss": CLUSTER,
            "sub": SERVICE_ACCOUNT,
            "aud": [self.issuer.url],
            "iat": now,
            "nbf": now,
            "exp": now + 3607,
            "jti": secrets.token_hex(8),
            "kubernetes.io": {"namespace": "finport", "serviceaccount": {"name": "broker", "uid": "u-1"}},
            **changes,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        return jwt.encode({"alg": algorithm, "kid": key.kid, **(header or {})}, said, key, algorithms=[algorithm])

    def svid(self, **changes: Any) -> str:
        claims = {"iss": None, "nbf": None, "jti": None, "kubernetes.io": None, "sub": SVID, **changes}
        return self.says(TRUST_DOMAIN_KEY, {"typ": "JWT"}, exp=int(self.issuer.clock()) + 300, **claims)

    def client(self, client_id: str = "broker", **more: Any) -> ClientIdentity:
        token = PlatformToken(self.file, self.issuer.url, **more)
        return ClientIdentity(client_id, None, self.issuer.url, asserting=token)

    async def token(self, client: ClientIdentity | None = None) -> str:
        flow = s2s(
            client or self.client(),
            self.metadata,
            audience=TRAIL,
            scopes=["audit:write"],
            now=self.issuer.clock(),
        )
        return (await drive(flow, self.http)).access_token.reveal()

    async def refused(self, text: str, client: ClientIdentity | None = None) -> None:
        """Sent whatever the file says: what the issuer makes of it, not what a good client does."""
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        sent = replace(client or self.client(), asserting=lambda now: (kind, text))
        with pytest.raises(GrantRefused) as refused:
            await self.token(sent)
        assert refused.value.details["error"] == "invalid_client", refused.value.description


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def bundle(*keys: Any, use: str = "sig") -> str:
    return json.dumps({"keys": [{**key.as_dict(private=False), "use": use} for key in keys]})


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Issuer, Path]]:
    folder = tmp_path_factory.mktemp("platform")
    home = Home(folder / "home")
    jwks, domain = folder / "cluster.json", folder / "domain.json"
    jwks.write_text(bundle(CLUSTER_KEY))
    domain.write_text(bundle(TRUST_DOMAIN_KEY, use="jwt-svid"))
    workloads = {
        "broker": TrustedWorkload(SERVICE_ACCOUNT, jwks, CLUSTER),
        "market-data-agent": TrustedWorkload(SVID, domain, kind="jwt-spiffe"),
    }
    seeded = lambda url: corporate_seed(home, url)  # noqa: E731
    async with issuer_of(home, "corporate", "FinPort Identity", seeded, workloads=workloads) as issuer:
        yield issuer, folder


@pytest.fixture
async def platform(running: tuple[Issuer, Path], http: httpx.AsyncClient) -> Platform:
    issuer, folder = running
    metadata = await drive(discover(issuer.url), http)
    (folder / "cluster.json").write_text(bundle(CLUSTER_KEY))
    one = Platform(issuer, folder, http, metadata)
    one.file.write_text(one.says() + "\n")
    return one


async def test_a_service_accounts_token_from_a_file_is_the_clients_word(platform: Platform) -> None:
    assert claims_of(await platform.token())["sub"] == "broker"


async def test_it_is_used_again_until_it_rotates_and_then_the_new_one_is(platform: Platform) -> None:
    await platform.token()
    await platform.token()
    rotated = platform.folder / "..data"
    rotated.write_text("not a token")
    os.replace(rotated, platform.file)
    with pytest.raises(ProviderUnavailable):
        await platform.token()
    platform.file.write_text(platform.says())
    await platform.token()


async def test_a_jwt_svid_from_a_file_is_the_clients_word(platform: Platform) -> None:
    platform.file.write_text(platform.svid())
    token = await platform.token(platform.client("market-data-agent", kind="jwt-spiffe"))
    assert claims_of(token)["sub"] == "market-data-agent"


async def test_an_svid_is_taken_for_what_it_is_and_for_nobody_else(platform: Platform) -> None:
    platform.file.write_text(platform.svid())
    for other in ("broker", "portfolio-agent"):
        with pytest.raises(GrantRefused):
            await platform.token(platform.client(other, kind="jwt-spiffe"))
    await platform.refused(platform.svid(), platform.client("market-data-agent"))  # as a plain JWT
    platform.file.write_text(platform.svid(sub="spiffe://other.example/ns/finport/sa/trail"))
    with pytest.raises(GrantRefused):
        await platform.token(platform.client("market-data-agent", kind="jwt-spiffe"))


FLAWS: dict[str, dict[str, Any]] = {
    "another service account": {"sub": "system:serviceaccount:finport:portfolio"},
    "another namespace": {"sub": "system:serviceaccount:evil:broker"},
    "a prefix": {"sub": f"{SERVICE_ACCOUNT}-2"},
    "another cluster": {"iss": "https://other.cluster"},
    "no issuer": {"iss": None},
    "the cluster's own audience": {"aud": ["https://kubernetes.default.svc"]},
    "more than one audience": {"aud": ["https://vault.example", "http://placeholder"]},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "a life without end": {"exp": 4102444800},
    "not valid yet": {"nbf": 4102444800},
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_platform_token_with_a_flaw_is_refused(platform: Platform, flaw: str) -> None:
    changes = FLAWS[flaw]
    if flaw == "more than one audience":
        changes = {"aud": ["https://vault.example", platform.issuer.url]}
    await platform.refused(platform.says(**changes))


async def test_a_token_that_ran_out_is_neither_sent_nor_taken(platform: Platform) -> None:
    old = platform.says(exp=int(platform.issuer.clock()) - 60, iat=int(platform.issuer.clock()) - 3600, nbf=None)
    platform.file.write_text(old)
    with pytest.raises(ProviderUnavailable, match="has run out"):
        await platform.token()
    await platform.refused(old)


async def test_a_token_signed_by_somebody_else_is_refused(platform: Platform) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "cluster-1", "alg": "RS256", "use": "sig"})
    await platform.refused(platform.says(stranger))
    said = platform.says().split(".")[1]
    confused = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'cluster-1'}).encode())}.{said}"
    mac = hmac.digest(CLUSTER_KEY.as_pem(private=False), confused.encode(), "sha256")
    await platform.refused(f"{confused}.{b64(mac)}")


async def test_keys_that_the_platform_withdrew_count_no_more(platform: Platform) -> None:
    await platform.token()
    (platform.folder / "cluster.json").write_text(bundle(RSAKey.generate_key(2048, {"kid": "cluster-2", "use": "sig"})))
    await platform.refused(platform.says())


async def test_the_clients_own_key_counts_no_more(platform: Platform) -> None:
    world = World(platform.issuer, platform.http)
    form = [("grant_type", "client_credentials"), ("resource", TRAIL)]
    for named in ([], [("client_id", "broker")]):
        answer = await world.broker.post("/token", *form, *named)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client"), answer.text


async def test_a_client_without_such_trust_does_not_come_in_by_it(platform: Platform) -> None:
    await platform.refused(platform.says(), platform.client("portfolio-agent"))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a.b.c", b"x" * 9000])
async def test_what_is_no_token_is_not_sent(platform: Platform, content: bytes) -> None:
    platform.file.write_bytes(content)
    with pytest.raises(ProviderUnavailable, match="platform"):
        await platform.token()


async def test_neither_a_pipe_nor_a_missing_file_holds_anybody_up(platform: Platform) -> None:
    platform.file.unlink()
    with pytest.raises(ProviderUnavailable, match="cannot be read"):
        await platform.token()
    os.mkfifo(platform.file)
    try:
        with pytest.raises(ProviderUnavailable):
            await platform.token()
    finally:
        platform.file.unlink()


async def test_a_token_for_another_audience_is_not_handed_to_this_issuer(platform: Platform) -> None:
    platform.file.write_text(platform.says(aud=["https://vault.example"]))
    with pytest.raises(ProviderUnavailable, match="another audience"):
        await platform.token()


async def test_a_service_accounts_token_is_not_passed_off_as_an_svid(platform: Platform) -> None:
    with pytest.raises(ProviderUnavailable, match="SPIFFE"):
        await platform.token(platform.client(kind="jwt-spiffe"))


def test_the_token_shows_in_no_refusal(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a.canary.c")
    with pytest.raises(ProviderUnavailable) as refused:
        PlatformToken(file, "https://as.example")(0.0)
    error = refused.value
    assert "canary" not in f"{error} {error.hint} {error.debug} {error.details} {error.__cause__}"


async def test_one_setting_turns_a_workload_over_to_its_platform(platform: Platform) -> None:
    settings = Settings(workload_token=WorkloadTokenSettings(file=platform.file))
    url = platform.issuer.url
    one = Workload.open("broker", url="http://127.0.0.1:1", home=platform.issuer.home, issuer=url, settings=settings)
    async with one:
        assert claims_of(await platform.token(one.client))["client_id"] == "broker"
    assert one.client_of("https://bank.example").asserting is None  # the platform says nothing to anybody else


NO_SETS = [[{"kty": "oct", "k": "AAAA", "kid": "s"}], [{"kty": "EC"}] * 101]


@pytest.mark.parametrize("entries", NO_SETS, ids=["a secret", "too many"])
def test_a_file_of_keys_that_is_no_set_of_public_keys_vouches_for_nobody(tmp_path: Path, entries: list[Any]) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k", "use": "sig"})
    (tmp_path / "keys").write_text(json.dumps({"keys": [*entries, key.as_dict(private=False)]}))
    trusted = TrustedWorkload("s", tmp_path / "keys", issuer="i")
    token = jwt.encode({"alg": "ES256", "kid": "k"}, {"iss": "i", "sub": "s", "aud": "a", "iat": 1, "exp": 9}, key)
    with pytest.raises(InvalidToken):
        check_platform_token(trusted, TYPES["jwt-bearer"], token, "a", 5)
