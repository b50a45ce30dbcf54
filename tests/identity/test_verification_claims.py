"""The claims of a token are true here and now, or it is refused: attacks on claims, by name."""

import json
from typing import Any

import pytest

from stead.identity.errors import InvalidToken
from stead.identity.verification import TokenPolicy, verify

NOW = 1_800_000_000


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "client_id", "jti", "iat", "exp"])
def test_a_token_without_a_required_claim_is_refused(issuer: Any, refuse: Any, claim: str) -> None:
    refuse(issuer.token(**{claim: None}))


@pytest.mark.parametrize(
    "value", ["", "a\0b", "a\nb", "\x7f", "x" * 256, 1, True, ["alice"], {"a": 1}, "\ud800"], ids=repr
)
@pytest.mark.parametrize("claim", ["sub", "client_id", "jti"])
def test_a_name_that_is_none_is_refused(issuer: Any, refuse: Any, claim: str, value: object) -> None:
    refuse(issuer.token(**{claim: value}))


@pytest.mark.parametrize(
    "iss",
    ["{}/", "{}.evil.example", "{}evil", "{}/tenant", "HTTP://127.0.0.2:9001", "http://127.0.0.2", "https://127.0.0.2:9001",
     "http://127.0.0.2:9002", "", ["{}"], {"iss": "{}"}, 1],
)  # fmt: skip
def test_another_issuer_is_refused(issuer: Any, refuse: Any, iss: Any) -> None:
    error = refuse(issuer.token(iss=iss.format(issuer.name) if isinstance(iss, str) else iss))
    assert error.description == "The token comes from another issuer."


@pytest.mark.parametrize(
    "aud",
    ["{}/", "{}0", "http://127.0.0.5", "HTTP://127.0.0.5:9002", "finport-web", "", ["{}"], ["{}", "http://127.0.0.6:1"],
     ["http://127.0.0.6:1"], [], [["{}"]], {"{}": 1}, 1, True],
)  # fmt: skip
def test_a_token_for_another_audience_is_refused(issuer: Any, refuse: Any, aud: Any) -> None:
    if isinstance(aud, str):
        aud = aud.format(issuer.audience)
    elif isinstance(aud, list):
        aud = [item.format(issuer.audience) if isinstance(item, str) else item for item in aud]
    error = refuse(issuer.token(aud=aud))
    assert error.description == "The token is for another service."
    assert issuer.audience in error.hint


def test_an_audience_list_is_admitted_only_where_configured(issuer: Any, refuse: Any) -> None:
    listed = TokenPolicy(issuer.name, issuer.audience, audience_list=True)
    assert verify(issuer.token(aud=[issuer.audience, "other"]), issuer.jwks(), listed, NOW)
    refuse(issuer.token(aud=["other"]), policy=listed)
    refuse(issuer.token(aud=[]), policy=listed)


@pytest.mark.parametrize(
    "typ",
    [None, "JWT", "jwt", "AT+JWT", "oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", "refresh+jwt", "", 1, ["at+jwt"]],
)
def test_a_token_of_another_type_is_no_access_token(issuer: Any, refuse: Any, typ: object) -> None:
    assert refuse(issuer.token(issuer.header(typ=typ))).description == "The token is of another type."


def test_an_access_token_is_no_id_token(issuer: Any, refuse: Any) -> None:
    for_id_tokens = TokenPolicy(issuer.name, issuer.audience, typ="JWT", required=("sub",))
    refuse(issuer.token(), policy=for_id_tokens)
    assert verify(issuer.token(issuer.header(typ="JWT")), issuer.jwks(), for_id_tokens, NOW)
    assert verify(issuer.token(issuer.header(typ=None)), issuer.jwks(), for_id_tokens, NOW)


ODD_TIMES = ["1800000100", True, -1, 1e30, 10**20, [], {}, b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"NaN"']


@pytest.mark.parametrize("value", ODD_TIMES, ids=repr)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_none_is_refused(issuer: Any, refuse: Any, claim: str, value: object) -> None:
    if isinstance(value, bytes):
        bare = json.dumps(issuer.claims(**{claim: None})).encode()
        refuse(issuer.sign(issuer.header(), bare[:-1] + f',"{claim}":'.encode() + value + b"}"))
    else:
        refuse(issuer.token(**{claim: value}))


def test_an_expired_token_is_refused_in_one_clear_sentence(issuer: Any, refuse: Any) -> None:
    error = refuse(issuer.token(), now=NOW + 331)
    assert error.description == "The token expired at 2027-01-15T08:05:00Z."
    assert error.hint == "Get a fresh token and try again."


@pytest.mark.parametrize(
    ("changes", "now", "good"),
    [
        ({}, NOW + 300, True),
        ({}, NOW + 329, True),
        ({}, NOW + 330, False),
        ({}, NOW + 331, False),
        ({}, NOW - 29, True),
        ({}, NOW - 31, False),
        ({"nbf": NOW + 29}, NOW, True),
        ({"nbf": NOW + 31}, NOW, False),
        ({"auth_time": NOW + 29}, NOW, True),
        ({"auth_time": NOW + 31}, NOW, False),
        ({"auth_time": 1e300}, NOW, False),
        ({"exp": NOW + 3600}, NOW, True),
        ({"exp": NOW + 3601}, NOW, False),
        ({"exp": NOW}, NOW, False),
        ({"exp": NOW - 1}, NOW, False),
        ({"exp": NOW + 300.5, "iat": NOW - 0.5}, NOW, True),
    ],
)
def test_times_are_kept_to_the_second(
    issuer: Any, policy: TokenPolicy, changes: dict[str, Any], now: float, good: bool
) -> None:
    token = issuer.token(**changes)
    if good:
        assert verify(token, issuer.jwks(), policy, now)
    else:
        with pytest.raises(InvalidToken):
            verify(token, issuer.jwks(), policy, now)


def actors(depth: int) -> dict[str, Any]:
    claim: dict[str, Any] = {"sub": f"a{depth}"}
    for number in reversed(range(1, depth)):
        claim = {"sub": f"a{number}", "act": claim}
    return claim


def test_five_actors_are_admitted(issuer: Any, policy: TokenPolicy) -> None:
    assert verify(issuer.token(act=actors(5)), issuer.jwks(), policy, NOW)


@pytest.mark.parametrize(
    "act",
    [actors(6), actors(9), "broker", 1, [], [{"sub": "broker"}], {}, {"sub": 1}, {"sub": ""}, {"sub": "a", "act": "b"},
     {"sub": "a", "iss": 1}, True, {"sub": "a" * 256}, {"sub": "a\nb"}, {"sub": "\u202eb"}, {"sub": "a", "iss": ""},
     {"sub": "a", "iss": "http://i\x1b[2J"}, {"sub": "a", "act": {"sub": "a\0"}}],
)  # fmt: skip
def test_an_actor_chain_that_is_none_or_too_long_is_refused(issuer: Any, refuse: Any, act: object) -> None:
    refuse(issuer.token(act=act))


@pytest.mark.parametrize(
    "scope",
    [
        ["portfolio:read"],
        {"a": 1},
        1,
        True,
        " a",
        "a ",
        "a  b",
        "a\tb",
        "pаyments",
        'a"b',
        "a\\b",
        "\x00",
        "a " * 2049 + "a",
    ],
)
def test_a_scope_that_is_malformed_is_refused(issuer: Any, refuse: Any, scope: object) -> None:
    refuse(issuer.token(scope=scope))


@pytest.mark.parametrize("scope", [None, "", "a", "a a", "a:b c.d"])
def test_scopes_may_be_absent_or_repeated(issuer: Any, policy: TokenPolicy, scope: str | None) -> None:
    assert verify(issuer.token(scope=scope), issuer.jwks(), policy, NOW)


def test_a_bound_token_without_its_proof_is_refused(issuer: Any, refuse: Any) -> None:
    assert "bound to a key" in refuse(issuer.token(cnf={"jkt": "x" * 43})).description
