"""The feed of revocations is believed only when its issuer signed this very list just now; a false one does no harm."""

import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.errors import ProviderUnavailable
from stead.identity.flows.discovery import Metadata
from stead.identity.signals.feed import EVENT, TYP, Reading, Revoked, digest_of, fetch_feed, place_of, read_feed
from stead.identity.types import Response

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


def test_what_the_issuer_signed_is_heard() -> None:
    revoked = read(reading())
    assert revoked.covers({"sid": "s-1"}, "x")
    assert revoked.covers({}, "t-1")
    assert not revoked.covers({"sid": "s-2"}, "t-2")


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
        reading("not JSON"),
        reading('{"sessions":[],"sessions":[],"tokens":[]}'),
        Reading("x.y.z", LISTED, None),
    ],
    ids=range(17),
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
