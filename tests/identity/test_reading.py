"""Tokens of other products, read as they write them: who it is, who acts, and what it is worth here."""

from typing import Any

import pytest

from stead.identity.errors import InvalidToken
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.policy.conditions import describe
from stead.identity.reading import build_principal
from stead.identity.values import Actor, Grant, Principal

KEYCLOAK: dict[str, Any] = {
    "exp": 1, "jti": "j", "iss": "i", "sub": "9f1c", "typ": "Bearer", "azp": "finport-web", "sid": "s", "acr": "1",
    "realm_access": {"roles": ["customer"]}, "scope": "openid portfolio:read", "preferred_username": "alice",
}  # fmt: skip
ENTRA: dict[str, Any] = {
    "exp": 1, "uti": "u", "oid": "8a3e", "sub": "pairwise", "tid": "t", "azp": "0a1b", "scp": "Portfolio.Read",
    "ver": "2.0", "roles": ["Market.Read"],
}  # fmt: skip
OKTA: dict[str, Any] = {"exp": 1, "jti": "j", "sub": "alice@x", "cid": "0oa1", "uid": "00u1", "scp": ["portfolio:read"]}
AUTH0: dict[str, Any] = {
    "exp": 1, "jti": "j", "sub": "auth0|5f", "client_id": "w1", "scope": "portfolio:read",
    "act": {"sub": "broker", "act": {"sub": "web"}},
}  # fmt: skip


def read(preset: str, token: dict[str, Any], **settings: Any) -> Principal:
    said = {"issuer": "https://idp.example", "preset": preset, **settings}
    return build_principal(token, IssuerSettings.model_validate(said).trusted(), "http://here", None)


def test_a_login_at_keycloak_is_a_person_without_an_actor() -> None:
    person = read("keycloak", KEYCLOAK)
    assert (person.subject, person.grant, person.actor, person.claims["roles"]) == (
        "9f1c", Grant.LOGIN, None, ["customer"],
    )  # fmt: skip
    assert "portfolio:read" in person.scopes


def test_an_exchanged_token_of_keycloak_has_its_client_as_the_actor_and_says_how_that_is_known() -> None:
    person = read("keycloak", {**KEYCLOAK, "azp": "broker"})
    assert (person.grant, person.actor, person.chain_from) == (Grant.OBO, Actor("broker"), "asserted")


def test_keycloaks_service_account_is_a_service_and_no_person() -> None:
    service = read("keycloak", {**KEYCLOAK, "azp": "broker", "preferred_username": "service-account-broker"})
    assert (service.grant, service.subject, service.actor) == (Grant.S2S, "broker", None)


@pytest.mark.parametrize("name", ["service-account-x", "service-account-broker-2", "service-account-.+"])
def test_a_person_who_calls_themselves_a_service_account_becomes_no_service(name: str) -> None:
    """Whoever may choose a name may choose that one; but that of the token's own client is taken, by its service."""
    person = read("keycloak", {**KEYCLOAK, "azp": "broker", "preferred_username": name})
    assert (person.grant, person.subject) == (Grant.OBO, "9f1c")
    client = read("keycloak", {**KEYCLOAK, "azp": "b.r+ker", "preferred_username": "service-account-bXr+ker"})
    assert client.grant is Grant.OBO
    upper = read("keycloak", {**KEYCLOAK, "azp": "Broker", "preferred_username": "service-account-broker"})
    assert (upper.grant, upper.subject) == (Grant.S2S, "Broker")


def test_a_person_at_auth0_who_is_called_as_another_client_is_no_service() -> None:
    assert read("auth0", {**AUTH0, "sub": "other@clients"}).grant is Grant.OBO
    bare = {name: value for name, value in AUTH0.items() if name != "act"}
    assert read("auth0", {**bare, "sub": "w1@clients"}).grant is Grant.S2S


@pytest.mark.parametrize("name", ["service-account-", "x-service-account-broker", "Service-Account-broker"])
def test_a_person_who_is_called_almost_like_a_service_stays_a_person(name: str) -> None:
    assert read("keycloak", {**KEYCLOAK, "preferred_username": name}).grant is Grant.LOGIN


def test_entra_names_people_by_object_and_scopes_by_its_own_names() -> None:
    person = read("entra", ENTRA, scope_names={"portfolio:read": "Portfolio.Read"})
    assert (person.subject, person.scopes, person.jti) == ("8a3e", frozenset({"portfolio:read"}), "u")
    assert (person.grant, person.chain) == (Grant.OBO, ("0a1b",))


def test_an_issuers_own_scope_that_happens_to_be_called_like_one_of_ours_is_not_ours() -> None:
    names = {"pay": "Bank.Pay", "read": "pay"}
    assert read("entra", {**ENTRA, "scp": "Bank.Pay"}, scope_names=names).scopes == {"pay"}
    assert read("entra", {**ENTRA, "scp": "pay"}, scope_names=names).scopes == {"read"}
    assert read("entra", {**ENTRA, "scp": "read other"}, scope_names=names).scopes == {"other"}


def test_a_persons_role_is_no_scope_and_a_services_is() -> None:
    mapped = {"role_scopes": {"Market.Read": "market:read"}}
    assert "market:read" not in read("entra", ENTRA, **mapped).scopes
    assert read("entra", {**ENTRA, "idtyp": "app"}, **mapped).scopes >= {"market:read"}


def test_a_persons_scope_counts_with_one_of_its_roles_and_not_without() -> None:
    gated = {
        "scope_names": {"portfolio:read": "Portfolio.Read"},
        "scope_roles": {"portfolio:read": ["customer", "vip"]},
    }
    assert read("entra", {**ENTRA, "roles": ["vip"]}, **gated).scopes == {"portfolio:read"}
    for role in ("", "Customer", "payer", "customer,payer"):
        assert read("entra", {**ENTRA, "roles": [role] if role else []}, **gated).scopes == frozenset()


def test_a_service_has_its_scopes_by_its_own_roles_whatever_people_need() -> None:
    app = {**ENTRA, "idtyp": "app", "roles": ["Market.Read"]}
    both = {"role_scopes": {"Market.Read": "market:read"}, "scope_roles": {"market:read": "customer"}}
    assert read("entra", app, **both).scopes >= {"market:read"}


def test_a_rule_knows_a_client_by_our_name_whatever_its_issuer_calls_it() -> None:
    person = read("entra", ENTRA, clients={"broker": {"client_id": "0a1b"}})
    assert (person.client_id, person.chain) == ("0a1b", ("0a1b",))
    seen = describe(person)
    assert (seen["client_id"], seen["actor"], seen["chain"]) == ("broker", "broker", ["broker"])


def test_a_stranger_that_took_our_name_at_the_issuer_is_not_taken_for_us() -> None:
    with pytest.raises(InvalidToken):
        read("okta", {**OKTA, "cid": "broker"}, clients={"broker": {"client_id": "0oa1"}})
    assert read("okta", {**OKTA, "cid": "broker"}, clients={"broker": {"client_id": "broker"}}).client_id == "broker"


def test_okta_lists_its_scopes_and_names_the_client_cid() -> None:
    person = read("okta", OKTA, login_clients=["0oa1"])
    assert (person.scopes, person.client_id, person.grant) == (frozenset({"portfolio:read"}), "0oa1", Grant.LOGIN)
    assert read("okta", {**OKTA, "sub": "0oa1"}).grant is Grant.S2S


def test_auth0_nests_its_actors_and_they_count() -> None:
    person = read("auth0", AUTH0)
    assert (person.chain, person.chain_from) == (("broker", "web"), "token")


def test_what_an_issuers_tokens_are_worth_has_a_ceiling() -> None:
    assert read("keycloak", KEYCLOAK, allowed_scopes=["market:read"]).scopes == frozenset()
    assert read("keycloak", KEYCLOAK, allowed_scopes=["portfolio:read"]).scopes == {"portfolio:read"}


@pytest.mark.parametrize(
    ("subjects", "claims", "welcome"),
    [
        ("persons", KEYCLOAK, True),
        ("services", KEYCLOAK, False),
        ("nobody", KEYCLOAK, False),
        ("persons", {**KEYCLOAK, "preferred_username": "service-account-finport-web"}, False),
        ("services", {**KEYCLOAK, "preferred_username": "service-account-finport-web"}, True),
    ],
)
def test_whose_tokens_count_is_said_for_each_issuer(subjects: str, claims: dict[str, Any], welcome: bool) -> None:
    if welcome:
        assert read("keycloak", claims, subjects=subjects)
        return
    with pytest.raises(InvalidToken, match="may do nothing here"):
        read("keycloak", claims, subjects=subjects)


@pytest.mark.parametrize("roles", ["customer", [7], {"a": 1}], ids=str)
def test_roles_that_are_no_list_of_names_are_refused(roles: object) -> None:
    with pytest.raises(InvalidToken):
        read("keycloak", {**KEYCLOAK, "realm_access": {"roles": roles}})


def test_claims_are_read_where_the_issuer_has_them_and_known_by_our_names() -> None:
    where = {"groups": "cognito:groups", "risk": "https://acme.example/risk", "device": "dev.state", "acr": "acrs"}
    claims = {
        **KEYCLOAK, "cognito:groups": ["treasury"], "https://acme.example/risk": "low", "dev": {"state": "managed"},
    }  # fmt: skip
    person = read("keycloak", claims, claims=where)
    known = describe(person)
    assert known["groups"] == ["treasury"]
    assert (known["claims"]["risk"], known["claims"]["device"], known["acr"]) == ("low", "managed", "")


def test_a_claim_that_is_read_elsewhere_is_not_taken_from_where_it_is_not() -> None:
    """Whoever can write a claim of their own into a token does not write ours."""
    person = read("keycloak", {**KEYCLOAK, "groups": ["treasury"]}, claims={"groups": "cognito:groups"})
    assert "groups" not in person.claims
    assert describe(person)["groups"] == []


@pytest.mark.parametrize("name", ["sub", "iss", "scope", "act", "cnf", "authorization_details", "roles", "a-b", ""])
def test_what_decides_whose_a_token_is_is_not_mapped(name: str) -> None:
    with pytest.raises(ValueError, match="claims"):
        IssuerSettings.model_validate({"issuer": "https://idp.example", "claims": {name: "x"}})


LEVELED: dict[str, Any] = {"levels": {"1": {"acr": "pwd", "lasts": 1000}, "2": {"acr": "mfa", "lasts": 300}}}


@pytest.mark.parametrize(
    ("levels", "acr"),
    [
        ({"1": 1000}, "pwd"),
        ({"1": 1000, "2": 1700}, "mfa"),
        ({"1": "1000", "2": "1700"}, "mfa"),
        ({"1": 1000, "2": 1699}, "pwd"),
        ({"1": 900, "2": 1000}, None),
        ({"2": 1900}, "mfa"),
        ({"1": 1000, "2": 2031}, "pwd"),
        ({"1": 1000, "3": 1999}, "pwd"),
        ({"1": True, "2": "soon"}, None),
        ({"1": [1000]}, None),
        ({"1": float("inf"), "2": 10**400}, None),
        ("2", None),
        (None, None),
    ],
)
def test_a_level_counts_once_reached_and_while_it_lasts_whatever_acr_says(levels: object, acr: str | None) -> None:
    told = {} if levels is None else {"levels": levels}
    person = read("keycloak", {**KEYCLOAK, "iat": 2000, "acr": "mfa", **told}, **LEVELED)
    assert person.claims.get("acr") == acr


def test_without_a_time_of_issue_no_level_counts() -> None:
    assert "acr" not in read("keycloak", {**KEYCLOAK, "acr": "mfa", "levels": {"2": 1999}}, **LEVELED).claims
