"""Issuer metadata (RFC 8414, OpenID Connect Discovery 1.0) and its keys, checked before anybody uses them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from stead.identity.addresses import may_lead
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.flows.wire import parse_json, successful, unusable
from stead.identity.types import Flow, Json, Request, Response

ENDPOINTS = (
    "token_endpoint",
    "authorization_endpoint",
    "jwks_uri",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an issuer says about itself. Every endpoint is https, or lies at the issuer's own origin."""

    issuer: str
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    jwks_uri: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    end_session_endpoint: str | None = None
    states_issuer: bool = False
    """Its authorization responses carry `iss` (RFC 9207 s3)."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def endpoint(self, name: str) -> str:
        """The URL of an endpoint. Raises `ConfigurationError` when the issuer has none of that name."""
        url: str | None = getattr(self, name)
        if url is None:
            raise ConfigurationError(
                f"{self.issuer} announces no {name}.", hint="Check the issuer in the settings, or what it supports."
            )
        return url

    def mutual(self, name: str) -> str:
        """The same for a connection that shows a certificate: its alias, where there is one (RFC 8705 s5)."""
        aliases = self.document.get("mtls_endpoint_aliases")
        if isinstance(aliases, dict) and name in aliases:
            return _endpoint(aliases, name, self.issuer)
        return self.endpoint(name)


def well_known(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata may lie: RFC 8414 s3.1 puts the suffix before the path, OpenID Connect after it."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{base}/.well-known/oauth-authorization-server{path}",
        f"{base}{path}/.well-known/openid-configuration",
    )


def discover(issuer: str) -> Flow[Metadata]:
    """Finds an issuer's metadata. Raises `ProviderUnavailable`, and `ConfigurationError` when it is another's."""
    for url in well_known(issuer):
        response = yield Request("GET", url, {"accept": "application/json"})
        if response.status == 200:
            return process_metadata(response, issuer)
        if response.status >= 500:
            break
    raise unusable(issuer, f"metadata: status {response.status}")


def process_metadata(response: Response, issuer: str) -> Metadata:
    """Checks a metadata document (RFC 8414 s3.3: `issuer` must be identical to the one asked for)."""
    document = parse_json(response, issuer)
    if document.get("issuer") != issuer:
        raise ConfigurationError(
            f"The metadata of {issuer} names another issuer.",
            hint="Configure the issuer exactly as it names itself, to the letter.",
        )
    endpoints = {name: _endpoint(document, name, issuer) for name in ENDPOINTS if document.get(name) is not None}
    challenges = document.get("code_challenge_methods_supported")
    if challenges is not None and (not isinstance(challenges, list) or "S256" not in challenges):
        raise ConfigurationError(f"{issuer} does not support PKCE with S256.", hint="RFC 9700 s2.1.1 requires it.")
    states_issuer = document.get("authorization_response_iss_parameter_supported") is True
    return Metadata(issuer, **endpoints, states_issuer=states_issuer, document=document)


def _endpoint(document: Json, name: str, issuer: str) -> str:
    url = document[name]
    # Neither a downgrade to http nor a detour to somebody's internal address (RFC 8414 s6.2).
    if isinstance(url, str) and may_lead(url, issuer):
        return url
    raise ConfigurationError(
        f"The {name} of {issuer} is neither at the issuer itself nor at a public https address.",
        hint="If it is meant, ask the issuer's operator for metadata that leads to its own host.",
    )


def fetch_keys(metadata: Metadata) -> Flow[Json]:
    """The issuer's JWK set (RFC 7517 s5), for the strict loader. Raises `ProviderUnavailable`."""
    response = yield Request("GET", metadata.endpoint("jwks_uri"), {"accept": "application/json"})
    try:
        return successful(response, metadata.issuer)
    except IdentityError as failure:
        raise unusable(metadata.issuer, f"keys: {failure.description}") from None
