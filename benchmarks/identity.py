"""What identity costs a hop: verification cold and warm, a decision, and the whole door around an app."""

import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.measure import progress, report, side_by_side
from stead.identity.audit.journal import Journal
from stead.identity.clock import system_clock
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import Ingress, Operation
from stead.identity.policy import Policy, Rule, declared
from stead.identity.types import ASGIApp, Json, Message, Receive, Scope, Send
from stead.identity.values import AccessToken, Grant
from stead.identity.verification import TokenPolicy, verify
from stead.identity.verifier import TrustedIssuer, Verifier

ISSUER, AUDIENCE, RESOURCE = "http://127.0.0.2:9001", "http://127.0.0.5:9002", "portfolio.summary"
SCOPE = "portfolio:read"
BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": {"parts": []}}}).encode()
KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
KEYS = {"keys": [KEY.as_dict(private=False)]}


def token() -> str:
    """A person's token through one actor."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "client_id": "broker",
        "act": {"sub": "broker"},
        "scope": SCOPE,
        "iat": now,
        "exp": now + 300,
        "jti": secrets.token_urlsafe(12),
        "roles": ["customer"],
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "k1"}, claims, KEY, algorithms=["ES256"])


def verifier() -> Verifier:
    """One that has its issuer's keys at hand."""

    async def fetch(url: str) -> bytes:
        document: Json = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"} if "well-known" in url else KEYS
        return json.dumps(document).encode()

    return Verifier([TrustedIssuer(ISSUER)], AUDIENCE, fetch, system_clock)


async def run() -> None:
    """All figures of this group."""
    await _verification()
    await _decision()
    await _door()


async def _verification() -> None:
    progress("verification")
    text, checks = token(), verifier()
    policy = TokenPolicy(ISSUER, AUDIENCE)

    async def cold() -> None:
        verify(text, KEYS, policy, time.time())

    async def warm() -> None:
        await checks.verify(AccessToken(text))

    cold_us, warm_us = await side_by_side(400, cold, warm)
    report("identity.verify.cold", cold_us, "us")
    report("identity.verify.warm", warm_us, "us")
    report("identity.verify.cold_over_warm", cold_us / warm_us, "ratio", at_least=10)


async def _decision() -> None:
    progress("policy decision")
    principal = await verifier().verify(AccessToken(token()))
    few, many = Policy(_rules(1)), Policy(_rules(1_000))

    async def small() -> None:
        few.decide(principal, RESOURCE, "SendMessage", {}, time.time())

    async def large() -> None:
        many.decide(principal, RESOURCE, "SendMessage", {}, time.time())

    small_us, large_us = await side_by_side(1_000, small, large)
    report("identity.policy.one_rule", small_us, "us")
    report("identity.policy.thousand_rules", large_us, "us", at_most=20)


def _rules(count: int) -> list[Rule]:
    others = (declared(f"other.skill{number}", Grant.OBO, [SCOPE]) for number in range(count - 1))
    return [declared(RESOURCE, Grant.OBO, [SCOPE]), *others]


async def _door() -> None:
    progress("guard and ingress around an app")
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "portfolio-agent", system_clock)
        off, on = _calls(_answer), _calls(_guarded(journal))
        off_us, on_us = await side_by_side(1_000, off, on)
        journal.close()
    report("identity.hop.warm", on_us - off_us, "us", at_most=70)


def _guarded(journal: Journal) -> ASGIApp:
    def describe(_: Scope, __: Json) -> Operation:
        return Operation("SendMessage", RESOURCE, {})

    policy = Policy([declared(RESOURCE, Grant.OBO, [SCOPE])])
    ingress = Ingress(
        _answer,
        verifier=verifier(),
        journal=journal,
        policy=policy,
        describe=describe,
        audience=AUDIENCE,
        scopes=(SCOPE,),
        protocol="jsonrpc",
    )
    return EdgeGuard(ingress, protocol="jsonrpc")


async def _answer(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})


def _calls(app: ASGIApp) -> Any:
    headers = [
        (b"host", b"127.0.0.5:9002"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()),
        (b"authorization", f"Bearer {token()}".encode()),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/a2a", "query_string": b"", "headers": headers}

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    async def call() -> None:
        await app({**scope, "headers": list(headers), "state": {}}, receive, send)

    return call
