"""How a client proves to an authorization server who it is: a signed assertion (RFC 7523 s2.2), else a secret."""

import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.dpop import sign_proof
from stead.identity.errors import ConfigurationError
from stead.identity.flows.discovery import Metadata
from stead.identity.types import Form, Request
from stead.identity.values import Secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 60
_PROVEN = frozenset({"token_endpoint", "pushed_authorization_request_endpoint"})
"""Where a proof binds what comes of the request (RFC 9449 s5 and s10.1)."""

Asserting = Callable[[float], tuple[str, str]]
"""Gives the type and the text of an assertion that somebody else made of this client, as good at that time."""


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """A client as one issuer knows it.

    With a key it authenticates by `private_key_jwt`, with `asserting` by what its platform says of it; a secret is for
    providers that know nothing better; with none it is a public client, or one that its certificate tells of. With
    `proof_key` its tokens are bound to that key, where the issuer can. `mutual_tls` says that its connections show a
    certificate, for its name or for its tokens (RFC 8705 s2, s3).
    """

    client_id: str
    key: ECKey | None = field(repr=False)
    issuer: str
    secret: Secret | None = None
    method: Literal["basic", "post"] = "basic"
    proof_key: ECKey | None = field(default=None, repr=False)
    asserting: Asserting | None = None
    mutual_tls: bool = False

    def proving(self, key: ECKey) -> "ClientIdentity":
        """The same client, whose token requests prove that it has `key`: its tokens are bound to it (RFC 9449 s5)."""
        return replace(self, proof_key=key)


def sign_assertion(client: ClientIdentity, now: float) -> str:
    """A single-use assertion for this client's issuer, and for it alone: `aud` is the issuer (FAPI 2.0 s5.3.3.1)."""
    if client.key is None:
        raise ValueError("A client without a key signs nothing.")
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now) + ASSERTION_LIFETIME,
    }
    header = {"alg": "ES256", "kid": client.key.kid or client.key.thumbprint()}
    return jwt.encode(header, claims, client.key, algorithms=["ES256"])


def authenticated(metadata: Metadata, endpoint: str, form: Form, client: ClientIdentity, now: float) -> Request:
    """A form POST in this client's name (RFC 6749 s2.3, RFC 7523 s2.2); a public client only names itself.

    Raises `ConfigurationError` where the client is another issuer's: no credential goes to the wrong one.
    """
    if client.issuer != metadata.issuer:
        raise ConfigurationError(f"{client.client_id} is a client of {client.issuer}, not of {metadata.issuer}.")
    url = metadata.mutual(endpoint) if client.mutual_tls else metadata.endpoint(endpoint)
    key = client.proof_key if endpoint in _PROVEN else None
    if key is None:
        return _signed(url, form, client, now)

    def make(now: float, nonce: str | None = None) -> Request:
        return proven(_signed(url, form, client, now), key, now, nonce)

    return replace(make(now), again=make)


def _signed(url: str, form: Form, client: ClientIdentity, now: float) -> Request:
    if client.asserting is not None or client.key is not None:
        kind, text = client.asserting(now) if client.asserting else (ASSERTION_TYPE, sign_assertion(client, now))
        assertion = (("client_assertion_type", kind), ("client_assertion", text))
        return _post(url, (*form, ("client_id", client.client_id), *assertion))
    if client.secret is None:
        return _post(url, (*form, ("client_id", client.client_id)))
    if client.method == "post":
        return _post(url, (*form, ("client_id", client.client_id), ("client_secret", client.secret.reveal())))
    return _post(url, form, authorization=_basic(client.client_id, client.secret))


def token_request(metadata: Metadata, form: Form, client: ClientIdentity, now: float) -> Request:
    """A request to the token endpoint in this client's name."""
    return authenticated(metadata, "token_endpoint", form, client, now)


def proven(request: Request, key: ECKey, now: float, nonce: str | None = None) -> Request:
    """The request with a proof that its sender has the key (RFC 9449 s5)."""
    proof = sign_proof(key, request.method, request.url, now, nonce=nonce)
    return replace(request, headers={**request.headers, "dpop": proof})


def _post(url: str, form: Form, **headers: str) -> Request:
    return Request("POST", url, {"accept": "application/json", **headers}, form=form)


def _basic(client_id: str, secret: Secret) -> str:
    # RFC 6749 s2.3.1: both parts are form-encoded first.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return f"Basic {b64encode(pair.encode()).decode()}"
