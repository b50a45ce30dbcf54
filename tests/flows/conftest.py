"""Canned replies, and a client and an issuer to speak for."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from joserfc.jwk import ECKey

from stead.identity.flows import ClientIdentity, Metadata
from stead.identity.types import Request, Response

NOW = 1_790_000_000.0
ISSUER = "https://as.example.com"

Answer = Callable[..., Response]


def answer(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": content_type}, raw)


def form_of(request: Request) -> list[tuple[str, str]]:
    assert request.form is not None
    return list(request.form)


def finish(flow: Any, *replies: Response) -> Any:
    """Runs a flow on canned replies and returns its value; it must take exactly that many."""
    next(flow)
    remaining: Iterator[Response] = iter(replies)
    try:
        for reply in remaining:
            flow.send(reply)
    except StopIteration as end:
        assert next(remaining, None) is None, "the flow ended before the replies did"
        return end.value
    raise AssertionError("the flow wants more")


@pytest.fixture(name="answer")
def _answer() -> Answer:
    return answer


@pytest.fixture(name="form_of")
def _form_of() -> Callable[[Request], list[tuple[str, str]]]:
    return form_of


@pytest.fixture(name="finish")
def _finish() -> Callable[..., Any]:
    return finish


@pytest.fixture
def query_of() -> Callable[[str], list[tuple[str, str]]]:
    return lambda url: parse_qsl(url.partition("?")[2], keep_blank_values=True)


@pytest.fixture
def now() -> float:
    return NOW


@pytest.fixture(scope="session")
def key() -> ECKey:
    plain = ECKey.generate_key("P-256")
    document = {**plain.as_dict(private=True), "alg": "ES256", "use": "sig", "kid": plain.thumbprint()}
    return ECKey.import_key(document)


@pytest.fixture
def client(key: ECKey) -> ClientIdentity:
    return ClientIdentity("s6BhdRkqt3", key, ISSUER)


@pytest.fixture
def metadata() -> Metadata:
    return Metadata(
        ISSUER,
        token_endpoint=f"{ISSUER}/token",
        authorization_endpoint=f"{ISSUER}/authorize",
        jwks_uri=f"{ISSUER}/jwks",
        pushed_authorization_request_endpoint=f"{ISSUER}/par",
        registration_endpoint=f"{ISSUER}/register",
        revocation_endpoint=f"{ISSUER}/revoke",
        states_issuer=True,
    )
