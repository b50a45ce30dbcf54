"""From a token to a principal."""

from typing import Any

import pytest

from stead.identity.errors import ConfigurationError, InvalidToken, ProviderUnavailable
from stead.identity.jwks import FRESH
from stead.identity.values import AccessToken, Grant
from stead.identity.verifier import CAPACITY, REMEMBERED, TrustedIssuer, Verifier


@pytest.fixture
def verifier(issuer: Any, web: Any, clock: Any) -> Verifier:
    return Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)


async def test_a_principal_is_what_the_token_says(issuer: Any, verifier: Verifier) -> None:
    token = AccessToken(issuer.token(act={"sub": "portfolio-agent", "act": {"sub": "broker"}}, txn="t-1"))
    principal = await verifier.verify(token)
    assert (principal.issuer, principal.subject, principal.audience) == (issuer.name, "alice", issuer.audience)
    assert (principal.client_id, principal.jti, principal.txn) == ("finport-web", "j-1", "t-1")
    assert principal.scopes == {"portfolio:read"}
    assert principal.chain == ("portfolio-agent", "broker")
    assert (principal.name, principal.claims["roles"]) == ("Alice Moreau", ["customer"])
    assert principal.token is token
    assert token.reveal() not in repr(principal)


@pytest.mark.parametrize(
    ("changes", "grant"),
    [
        ({}, Grant.LOGIN),
        ({"act": {"sub": "broker"}}, Grant.OBO),
        ({"sub": "broker", "client_id": "broker"}, Grant.S2S),
        ({"authorization_details": [{"type": "payment_initiation"}]}, Grant.IN_TASK),
        ({"authorization_details": [{"type": "x"}], "act": {"sub": "broker"}}, Grant.IN_TASK),
        ({"sub": "broker", "client_id": "broker", "act": {"sub": "x"}}, Grant.OBO),
    ],
)
async def test_the_grant_follows_from_the_claims(
    issuer: Any, verifier: Verifier, changes: dict[str, Any], grant: Grant
) -> None:
    assert (await verifier.verify(AccessToken(issuer.token(**changes)))).grant is grant


async def test_an_issuer_nobody_trusts_is_refused_before_any_key_is_fetched(
    issuer: Any, verifier: Verifier, web: Any
) -> None:
    issuers: list[Any] = ["http://127.0.0.3:9001", f"{issuer.name}/", ["x"], {}, 1, None]
    for iss in issuers:
        with pytest.raises(InvalidToken, match="does not trust") as refused:
            await verifier.verify(AccessToken(issuer.token(iss=iss)))
        assert issuer.name in str(refused.value.hint)
    assert web.fetched == []


async def test_a_token_of_the_other_issuer_with_its_own_valid_signature_is_refused(
    issuer: Any, verifier: Verifier, web: Any
) -> None:
    bank = type(issuer)(name="http://127.0.0.3:9001")
    web.publish(bank)
    with pytest.raises(InvalidToken):
        await verifier.verify(AccessToken(bank.token()))
    with pytest.raises(InvalidToken):
        await verifier.verify(AccessToken(bank.token(iss=issuer.name)))


async def test_two_trusted_issuers_do_not_vouch_for_each_other(issuer: Any, web: Any, clock: Any) -> None:
    bank = type(issuer)(name="http://127.0.0.3:9001")
    web.publish(bank)
    verifier = Verifier([TrustedIssuer(issuer.name), TrustedIssuer(bank.name)], issuer.audience, web, clock)
    assert (await verifier.verify(AccessToken(bank.token()))).issuer == bank.name
    with pytest.raises(InvalidToken, match="signature"):
        await verifier.verify(AccessToken(bank.token(iss=issuer.name)))


async def test_an_attackers_address_in_the_header_causes_no_network_call(
    issuer: Any, verifier: Verifier, web: Any
) -> None:
    await verifier.verify(AccessToken(issuer.token()))
    web.fetched.clear()
    for member in ("jku", "x5u"):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(issuer.token({**issuer.header(), member: "http://169.254.169.254/"})))
    assert web.fetched == []


async def test_a_verified_token_is_not_checked_again_while_it_is_remembered(
    issuer: Any, verifier: Verifier, clock: Any
) -> None:
    token = AccessToken(issuer.token())
    first = await verifier.verify(token)
    clock.now += REMEMBERED - 1
    assert await verifier.verify(AccessToken(token.reveal())) is first
    clock.now += 1
    assert await verifier.verify(token) is not first


async def test_a_remembered_token_still_expires(issuer: Any, verifier: Verifier, clock: Any) -> None:
    token = AccessToken(issuer.token(exp=int(clock.now) + 10))
    await verifier.verify(token)
    clock.now += 9
    await verifier.verify(token)
    clock.now += 31
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(token)


async def test_a_remembered_token_with_one_other_character_is_another_token(issuer: Any, verifier: Verifier) -> None:
    token = issuer.token()
    await verifier.verify(AccessToken(token))
    for other in (f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", f"{token} ", token.lower()):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(other))


async def test_tokens_of_a_removed_key_are_forgotten(issuer: Any, verifier: Verifier, web: Any, clock: Any) -> None:
    new = issuer.new_key("k2")
    web.publish(issuer, new)
    late = int(clock.now + FRESH) + 200
    await verifier.verify(AccessToken(issuer.token(jti="early", exp=late)))
    clock.now += FRESH - 30
    old_token = AccessToken(issuer.token(exp=late))
    await verifier.verify(old_token)
    web.pages[f"{issuer.name}/jwks"] = {"keys": [new.as_dict(private=False)]}
    clock.now += 30
    await verifier.verify(AccessToken(issuer.sign(issuer.header(kid="k2"), issuer.claims(exp=late), new)))
    with pytest.raises(InvalidToken, match="does not publish"):
        await verifier.verify(old_token)


async def test_a_revoked_token_is_forgotten_on_demand(issuer: Any, verifier: Verifier) -> None:
    token = AccessToken(issuer.token(sid="s-1"))
    first = await verifier.verify(token)
    other = await verifier.verify(AccessToken(issuer.token(sid="s-2")))
    verifier.forget(lambda principal: principal.claims.get("sid") == "s-1")
    assert await verifier.verify(token) is not first
    assert await verifier.verify(AccessToken(issuer.token(sid="s-2"))) == other


async def test_what_is_remembered_is_bounded(issuer: Any, web: Any, clock: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("stead.identity.verifier.CAPACITY", 3)
    verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
    tokens = [AccessToken(issuer.token(jti=f"j-{number}")) for number in range(5)]
    principals = [await verifier.verify(token) for token in tokens]
    assert await verifier.verify(tokens[4]) is principals[4]
    assert await verifier.verify(tokens[0]) is not principals[0]
    assert CAPACITY > 1000


async def test_an_unreachable_provider_is_no_fault_of_the_token(issuer: Any, clock: Any, web: Any) -> None:
    web.pages = {}
    with pytest.raises(ProviderUnavailable):
        await Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock).verify(AccessToken(issuer.token()))


async def test_a_flood_of_forged_tokens_fetches_keys_once(issuer: Any, verifier: Verifier, web: Any) -> None:
    await verifier.verify(AccessToken(issuer.token()))
    web.fetched.clear()
    for number in range(200):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(issuer.token(issuer.header(kid=f"forged-{number}"))))
    assert len(web.fetched) <= 1


async def test_claims_are_read_as_the_issuer_writes_them(issuer: Any, web: Any, clock: Any) -> None:
    trusted = TrustedIssuer(
        issuer.name,
        subject="oid",
        client="azp",
        scopes="scp",
        roles="realm_access.roles",
        identifier="uti",
        typ="JWT",
        audience_list=True,
        tolerated_headers=frozenset({"x5t"}),
    )
    verifier = Verifier([trusted], issuer.audience, web, clock)
    claims = issuer.claims(client_id=None, jti=None, roles=None, scope=None)
    claims |= {"oid": "o-1", "azp": "app", "scp": ["a", "b"], "realm_access": {"roles": ["payer"]}, "uti": "u-1"}
    header = {**issuer.header(typ="JWT"), "x5t": "AA"}
    principal = await verifier.verify(AccessToken(issuer.sign(header, claims)))
    assert (principal.subject, principal.client_id, principal.jti) == ("o-1", "app", "u-1")
    assert principal.scopes == {"a", "b"}
    assert principal.claims["roles"] == ["payer"]
    for spoiled in ({"scp": [1]}, {"realm_access": {"roles": "payer"}}, {"oid": 1}, {"uti": ""}):
        with pytest.raises(InvalidToken):
            await verifier.verify(AccessToken(issuer.sign(header, {**claims, **spoiled})))


@pytest.mark.parametrize("changes", [{"roles": "admin"}, {"roles": [1]}, {"txn": 1}, {"roles": {"a": 1}}])
async def test_malformed_claims_are_refused(issuer: Any, verifier: Verifier, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(AccessToken(issuer.token(**changes)))


async def test_a_mapped_path_through_nothing_is_no_role(issuer: Any, web: Any, clock: Any) -> None:
    verifier = Verifier([TrustedIssuer(issuer.name, roles="a.b.c")], issuer.audience, web, clock)
    for value in (None, "x", {"b": 1}, {"b": {"x": 1}}):
        principal = await verifier.verify(AccessToken(issuer.token(a=value)))
        assert principal.claims["roles"] == []


def test_an_issuer_trusted_twice_is_a_mistake(issuer: Any, web: Any, clock: Any) -> None:
    with pytest.raises(ConfigurationError):
        Verifier([TrustedIssuer(issuer.name), TrustedIssuer(issuer.name)], issuer.audience, web, clock)
