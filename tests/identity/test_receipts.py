"""Where tokens do not say through whom, signed receipts do; every way to bend one is an attack, by name."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.chains import Chains
from stead.identity.dpop import digest_of
from stead.identity.errors import InvalidToken, ProviderUnavailable
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.receipts import HEADER, LIFETIME, digest, write_receipt
from stead.identity.strict_json import parse_object
from stead.identity.values import AccessToken, Actor, Grant, Principal

NOW = 1_800_000_000
IDP, BROKER, PORTFOLIO, HOLDINGS = ("https://idp.example", "http://broker", "http://portfolio", "http://holdings")
SERVICES = {BROKER: "broker", PORTFOLIO: "portfolio-agent", HOLDINGS: "holdings-mcp"}


@dataclass
class Town:
    """Services with keys that they publish, and how many times those were asked for."""

    keys: dict[str, ECKey] = field(
        default_factory=lambda: {name: ECKey.generate_key("P-256") for name in SERVICES.values()}
    )
    asked: list[str] = field(default_factory=list)
    more: Mapping[str, Any] = field(default_factory=dict)
    now: float = NOW

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        name = SERVICES.get(url.removesuffix("/.well-known/jwks.json"))
        if name is None:
            raise ProviderUnavailable("nothing is there")
        key = self.keys[name]
        public = {**key.as_dict(private=False), "use": "sig", "alg": "ES256", "kid": key.thumbprint()}
        return json.dumps({"keys": [public]}).encode()

    def chains(self, audience: str = HOLDINGS) -> Chains:
        said = {"issuer": IDP, "preset": "keycloak", "audiences": SERVICES, **self.more}
        trusted = IssuerSettings.model_validate(said).trusted()
        return Chains([trusted], audience, self.fetch, lambda: self.now)

    async def read(self, principal: Principal, header: str | None, audience: str = HOLDINGS) -> Principal:
        headers = [] if header is None else [(HEADER.encode(), header.encode())]
        return await self.chains(audience).completed(principal, headers)

    def write(self, sender: str, caller: Principal, audience: str, token: AccessToken) -> str:
        return write_receipt(self.keys[sender], sender, caller, audience=audience, token=token, now=self.now)

    async def at_portfolio(self, person: str = "alice") -> Principal:
        """The person, called for by the broker, as the portfolio agent knows it."""
        called = call(person, "broker")
        assert called.token is not None
        return await self.read(called, self.write("broker", login(person), PORTFOLIO, called.token), PORTFOLIO)


def call(person: str, client: str, *, actor: bool = True) -> Principal:
    """What a token of Keycloak says: the person and the last client, and no more."""
    return Principal(
        issuer=IDP,
        subject=person,
        audience="here",
        client_id=client,
        scopes=frozenset(),
        jti=secrets.token_hex(4),
        expires_at=NOW + 300,
        grant=Grant.OBO if actor else Grant.LOGIN,
        actor=Actor(client) if actor else None,
        chain_from="asserted" if actor else "token",
        claims=MappingProxyType({}),
        token=AccessToken(secrets.token_hex(8)),
    )


def login(person: str = "alice") -> Principal:
    return call(person, "finport-web", actor=False)


@pytest.fixture
def town() -> Town:
    return Town()


async def hop(town: Town, **changes: Any) -> tuple[Principal, str]:
    """The portfolio agent calls holdings: what arrives there, and the header beside it."""
    caller, called = await town.at_portfolio(), call("alice", "portfolio-agent")
    said = {"caller": caller, "audience": HOLDINGS, "token": called.token, **changes}
    return called, town.write("portfolio-agent", said["caller"], said["audience"], said["token"])


def forged(town: Town, header: str, key: ECKey | None = None, **claims: Any) -> str:
    """The newest receipt with some claims changed, signed anew."""
    newest, *rest = header.split(",")
    payload = newest.split(".")[1]
    said = dict(parse_object(base64.urlsafe_b64decode(payload + "=="), max_bytes=4096, max_depth=4))
    signer = key or town.keys["portfolio-agent"]
    head = {"typ": "hop-receipt+jwt", "alg": "ES256", "kid": signer.thumbprint()}
    return ",".join([jwt.encode(head, {**said, **claims}, signer, algorithms=["ES256"]), *rest])


async def refused(town: Town, called: Principal, header: str, words: str = ".") -> None:
    with pytest.raises(InvalidToken, match=words):
        await town.read(called, header)


async def test_two_receipts_prove_a_chain_of_two(town: Town) -> None:
    called, header = await hop(town)
    joined = await town.read(called, header)
    assert (joined.chain, joined.chain_from) == (("portfolio-agent", "broker"), "receipts")
    assert len(joined.receipts) == 2


async def test_without_receipts_only_the_last_actor_is_known_and_that_is_said(town: Town) -> None:
    called, _ = await hop(town)
    alone = await town.read(called, None)
    assert (alone.chain, alone.chain_from) == (("portfolio-agent",), "asserted")


async def test_where_receipts_are_required_a_call_without_them_is_refused(town: Town) -> None:
    town.more = {"receipts": "required"}
    called, header = await hop(town)
    assert (await town.read(called, header)).chain_from == "receipts"
    with pytest.raises(InvalidToken, match="without hop receipts"):
        await town.read(called, None)


async def test_a_persons_own_call_and_a_token_with_act_need_none(town: Town) -> None:
    town.more = {"receipts": "required"}
    for principal in (login(), replace(call("alice", "x"), chain_from="token")):
        assert await town.read(principal, None) is principal
    assert town.asked == []


async def test_a_dropped_link_shows(town: Town) -> None:
    called, header = await hop(town)
    cut = await town.read(called, header.split(",")[0])
    assert (cut.chain, cut.chain_from) == (("portfolio-agent", "broker"), "shortened")
    town.more = {"receipts": "required"}
    await refused(town, called, header.split(",")[0], "cut short")


async def test_a_chain_that_lost_its_beginning_shows(town: Town) -> None:
    called, header = await hop(town, caller=login())
    assert (await town.read(called, header)).chain_from == "receipts"
    town.more = {"first_actors": ["broker"]}
    assert (await town.read(called, header)).chain_from == "shortened"


async def test_a_forged_receipt_is_refused(town: Town) -> None:
    called, header = await hop(town)
    await refused(town, called, forged(town, header, ECKey.generate_key("P-256")))
    await refused(town, called, forged(town, header, town.keys["broker"]))
    await refused(town, called, header[:-3] + "AAA")


async def test_a_receipt_beside_another_token_is_refused(town: Town) -> None:
    _, header = await hop(town)
    await refused(town, call("alice", "portfolio-agent"), header, "another token")


async def test_a_receipt_for_another_service_is_refused(town: Town) -> None:
    called, header = await hop(town, audience=PORTFOLIO)
    await refused(town, called, header)


async def test_a_receipt_of_another_person_is_refused(town: Town) -> None:
    called, header = await hop(town)
    await refused(town, replace(called, subject="bob"), header, "another person")


async def test_a_receipt_that_is_not_from_whom_the_token_was_issued_to_is_refused(town: Town) -> None:
    called, header = await hop(town)
    await refused(town, replace(called, client_id="broker"), header, "issued to")


async def test_spliced_chains_are_refused(town: Town) -> None:
    called, header = await hop(town)
    _, other = await hop(town)
    bob = await town.at_portfolio("bob")
    for strange in (other.split(",")[1], bob.receipts[0]):
        await refused(town, called, f"{header.split(',')[0]},{strange}")


async def test_reordered_receipts_are_refused(town: Town) -> None:
    called, header = await hop(town)
    await refused(town, called, ",".join(reversed(header.split(","))))


async def test_an_invented_link_is_refused(town: Town) -> None:
    called, header = await hop(town)
    await refused(town, called, forged(town, header, chain=["portfolio-agent", "treasurer"]), "follow")
    await refused(town, called, forged(town, header, chain=["treasurer", "broker"]), "begin")
    await refused(town, called, forged(town, header, former=digest("another")), "follow")


async def test_an_expired_and_a_future_receipt_are_refused(town: Town) -> None:
    called, header = await hop(town)
    town.now = NOW + LIFETIME + 1
    await refused(town, called, header, "expired")
    town.now = NOW
    await refused(town, called, forged(town, header, iat=NOW + 100, exp=NOW + 200))


@pytest.mark.parametrize(
    "chain",
    [
        [],
        "broker",
        ["portfolio-agent", 7],
        ["portfolio-agent"] * 6,
        [["portfolio-agent"]],
        None,
        ["portfolio-agent", "a\x1b[2J"],
    ],
    ids=repr,
)
async def test_a_malformed_chain_is_refused(town: Town, chain: object) -> None:
    called, header = await hop(town)
    await refused(town, called, forged(town, header, chain=chain))


async def test_a_sender_that_is_not_known_is_refused_and_not_asked(town: Town) -> None:
    called, header = await hop(town)
    town.asked.clear()
    stranger = forged(town, header, iss="http://169.254.169.254", chain=["http://169.254.169.254"])
    await refused(town, replace(called, client_id="http://169.254.169.254"), stranger, "not known")
    assert town.asked == []


@pytest.mark.parametrize("header", ["", ",", "x", "a.b.c", "a.b.c," * 5 + "a.b.c", "x" * 9000], ids=len)
async def test_what_is_no_receipt_is_refused(town: Town, header: str) -> None:
    called, _ = await hop(town)
    await refused(town, called, header)


async def test_two_headers_are_refused(town: Town) -> None:
    called, header = await hop(town)
    with pytest.raises(InvalidToken, match="repeated"):
        await town.chains().completed(called, [(HEADER.encode(), header.encode())] * 2)


async def test_an_access_token_is_no_receipt(town: Town) -> None:
    called, header = await hop(town)
    newest = header.split(",")[0]
    head = {"typ": "at+jwt", "alg": "ES256", "kid": town.keys["portfolio-agent"].thumbprint()}
    assert called.token is not None
    said = {"iss": "portfolio-agent", "aud": HOLDINGS, "sub": called.owner, "ath": digest_of(called.token), "iat": NOW}
    other = jwt.encode(head, {**said, "exp": NOW + 60, "chain": ["portfolio-agent"]}, town.keys["portfolio-agent"])
    assert newest != other
    await refused(town, called, other, "another type")
