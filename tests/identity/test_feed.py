"""The feed of revocations is believed only when its issuer signed this very list just now; a false one does no harm."""

import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.errors import ProviderUnavailable
from stead.identity.flows.discovery import Metadata
from stead.identity.signals.feed import EVENT, TYP, Reading, digest_of, fetch_feed, place_of, read_feed
from stead.identity.signals.revoked import Revoked
from stead.identity.types import Response
from stead.identity.values import Grant, Principal

NOW = 1_800_000_000
ISSUER = "https://idp.example"
PLACE = f"{ISSUER}/revocations"
KEY = ECKey.generate_key("P-256")
KEYS = {"keys": [{**KEY.as_dict(private=False), "use": "sig", "alg": "ES256", "kid": KEY.thumbprint()}]}
LISTED = json.dumps({"sessions": ["s-1"], "tokens": ["t-1"]})


def reading(
    listed: str = LISTED, *, key: ECKey = KEY, typ: str = TYP, signed: str | None = None, **claims: Any
) -> Reading:
    events = {EVENT: {"digest": digest_of(listed if signed is None else signed)}}
    said = {"iss": ISSUER, "aud": PLACE, "iat": NOW, "exp": NOW + 60, "jti": "j", "events": events, **claims}
    event = jwt.encode({"alg": "ES256", "typ": typ, "kid": KEY.thumbprint()}, said, key, algorithms=["ES256"])
    return Reading(event, listed, '"e"')


def read(one: Reading) -> Revoked:
    return read_feed(one, KEYS, ISSUER, PLACE, now=NOW)


def bearer(jti: str = "t-0", subject: str = "alice", **claims: Any) -> Principal:
    said = {"sub": subject, "iat": NOW, **claims}
    return Principal(ISSUER, subject, "a", "web", frozenset(), jti, NOW + 300, Grant.LOGIN, claims=said)


def test_what_the_issuer_signed_is_heard() -> None:
    revoked = read(reading())
    assert revoked.covers(bearer("x", sid="s-1"))
    assert revoked.covers(bearer("t-1"))
    assert not revoked.covers(bearer("t-2", sid="s-2"))


def test_a_moment_stands_for_all_that_was_issued_up_to_it() -> None:
    revoked = read(reading(json.dumps({"sessions": [], "tokens": [], "before": NOW + 0.7})))
    assert revoked.covers(bearer("x", sid="s-9", iat=NOW))
    assert not revoked.covers(bearer("x", sid="s-9", iat=NOW + 1))


def test_a_person_s_tokens_end_by_the_moment_they_were_issued() -> None:
    revoked = Revoked(subjects={"alice": NOW})
    assert revoked.covers(bearer(sid="s-9"))
    assert revoked.covers(bearer(subject="pairwise", sub="alice"))
    assert revoked.ends_session("s-9", ("alice",), NOW + 0.9)
    assert not revoked.covers(bearer(iat=NOW + 1))
    assert not revoked.covers(bearer(subject="bob"))


def test_where_a_session_ended_a_token_of_another_session_lives_on() -> None:
    revoked = Revoked(frozenset({"s-1"}), sessionless={"alice": NOW})
    assert revoked.covers(bearer(sid="s-1"))
    assert revoked.covers(bearer())
    assert not revoked.covers(bearer(sid="s-2"))


def test_two_words_of_one_issuer_are_worth_both() -> None:
    one, other = Revoked(frozenset({"s-1"}), before=5.0, subjects={"a": 1}), Revoked(subjects={"a": 3, "b": 2})
    assert one.joined(other) == Revoked(frozenset({"s-1"}), before=5.0, subjects={"a": 3, "b": 2})


@pytest.mark.parametrize("session", [[], ["s-1"], {"s-1": True}, {}, None, 1, True])
def test_a_session_id_that_is_none_breaks_nothing(session: object) -> None:
    assert not read(reading()).covers(bearer("x", sid=session))
    assert read(reading()).covers(bearer("t-1", sid=session))


@pytest.mark.parametrize(
    "false",
    [
        reading(key=ECKey.generate_key("P-256")),
        reading(iss="https://other.example"),
        reading(aud="https://idp.example/other"),
        reading(typ="at+jwt"),
        reading(typ="logout+jwt"),
        reading(iat=NOW - 3600, exp=NOW - 3540),
        reading(exp=NOW + 86_400),
        reading(signed='{"sessions":[],"tokens":[]}'),
        reading(events={}),
        reading(events={"urn:other": {"digest": digest_of(LISTED)}}),
        reading(events=[EVENT]),
        reading("{}"),
        reading('{"sessions":"all","tokens":[]}'),
        reading('{"sessions":[7],"tokens":[]}'),
        reading('{"sessions":[],"tokens":[],"before":"now"}'),
        reading('{"sessions":[],"tokens":[],"before":true}'),
        reading("not JSON"),
        reading('{"sessions":[],"sessions":[],"tokens":[]}'),
        Reading("x.y.z", LISTED, None),
    ],
    ids=range(19),
)
def test_a_false_feed_is_not_believed(false: Reading) -> None:
    with pytest.raises(ProviderUnavailable):
        read(false)


def test_a_feed_elsewhere_is_not_followed() -> None:
    for place in ("https://evil.example/revocations", "https://idp.example.evil/r", "http://idp.example/r", 7, None):
        assert place_of(Metadata(ISSUER, document={"stead_revocations_endpoint": place})) is None
    assert place_of(Metadata(ISSUER, document={"stead_revocations_endpoint": PLACE})) == PLACE


@pytest.mark.parametrize(
    "response",
    [
        Response(500),
        Response(302, {"location": "http://169.254.169.254/"}),
        Response(200, {"content-type": "text/html"}, b"<p>"),
        Response(200, {"content-type": "application/json"}, b'{"set": 7, "revoked": "x"}'),
        Response(200, {"content-type": "application/json"}, b"[" * 5000),
        Response(200, {"content-type": "application/json"}, b'{"set": "' + b"x" * 300_000 + b'"}'),
    ],
    ids=["down", "a redirect", "a page", "no event", "deep", "huge"],
)
def test_an_answer_that_is_no_feed_does_no_harm(response: Response) -> None:
    flow = fetch_feed(PLACE, None)
    next(flow)
    with pytest.raises(ProviderUnavailable):
        flow.send(response)


def test_who_knows_it_already_is_told_so() -> None:
    flow = fetch_feed(PLACE, '"e"')
    assert next(flow).headers["if-none-match"] == '"e"'
    with pytest.raises(StopIteration) as done:
        flow.send(Response(304))
    assert done.value.value is None
