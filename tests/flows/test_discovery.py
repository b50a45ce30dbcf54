"""RFC 8414 and OpenID Connect Discovery: only this issuer's own word counts, and only safe endpoints."""

from dataclasses import replace
from typing import Any

import pytest

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.flows import ClientIdentity, discover, fetch_keys
from stead.identity.flows.client_assertion import token_request
from stead.identity.flows.discovery import well_known

ISSUER = "https://example.com"
DOCUMENT = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "authorization_endpoint": f"{ISSUER}/authorize",
    "jwks_uri": "https://keys.example.net/jwks",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}


def test_an_issuer_with_a_path_is_asked_where_the_rfc_says() -> None:
    assert well_known("https://example.com/issuer1") == (
        "https://example.com/.well-known/oauth-authorization-server/issuer1",
        "https://example.com/issuer1/.well-known/openid-configuration",
    )


def test_the_metadata_is_returned(finish: Any, answer: Any) -> None:
    metadata = finish(discover(ISSUER), answer(DOCUMENT))
    assert metadata.endpoint("token_endpoint") == f"{ISSUER}/token"
    assert metadata.states_issuer


def test_a_provider_that_knows_openid_only_is_found(finish: Any, answer: Any) -> None:
    assert finish(discover(ISSUER), answer({}, 404), answer(DOCUMENT)).issuer == ISSUER


@pytest.mark.parametrize(
    "named", [f"{ISSUER}/", "https://EXAMPLE.com", "https://evil.example", "http://example.com", 7]
)
def test_metadata_that_names_another_issuer_is_refused(finish: Any, answer: Any, named: Any) -> None:
    with pytest.raises(ConfigurationError, match="names another issuer"):
        finish(discover(ISSUER), answer({**DOCUMENT, "issuer": named}))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://example.com/token",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/token",
        "file:///etc/passwd",
        "https://user@example.com/token",
        "https://",
        "//example.com/token",
        7,
        ["https://example.com/token"],
    ],
)
def test_an_endpoint_elsewhere_or_without_tls_is_refused(finish: Any, answer: Any, endpoint: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_endpoint"):
        finish(discover(ISSUER), answer({**DOCUMENT, "token_endpoint": endpoint}))


def test_a_plain_issuer_may_have_plain_endpoints_of_its_own_only(finish: Any, answer: Any) -> None:
    issuer = "http://127.0.0.2:8411"
    document = {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
    assert finish(discover(issuer), answer(document)).token_endpoint == f"{issuer}/token"
    with pytest.raises(ConfigurationError):
        finish(discover(issuer), answer({**document, "token_endpoint": "http://127.0.0.2:8412/token"}))


@pytest.mark.parametrize("methods", [[], ["plain"], "S256x", None.__class__])
def test_an_issuer_without_pkce_s256_is_refused(finish: Any, answer: Any, methods: Any) -> None:
    methods = [] if methods is type(None) else methods
    with pytest.raises(ConfigurationError):
        finish(discover(ISSUER), answer({**DOCUMENT, "code_challenge_methods_supported": methods}))


@pytest.mark.parametrize("status", [301, 302, 307, 401, 404])
def test_no_redirect_is_followed_and_no_error_believed(finish: Any, answer: Any, status: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(discover(ISSUER), answer(DOCUMENT, status), answer(DOCUMENT, status))


def test_a_failing_server_is_not_asked_twice(finish: Any, answer: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(discover(ISSUER), answer({}, 503))


def test_the_keys_are_fetched_where_the_metadata_says(finish: Any, answer: Any) -> None:
    metadata = finish(discover(ISSUER), answer(DOCUMENT))
    flow = fetch_keys(metadata)
    assert next(flow).url == "https://keys.example.net/jwks"
    with pytest.raises(StopIteration) as end:
        flow.send(answer({"keys": []}, content_type="application/jwk-set+json"))
    assert end.value.value == {"keys": []}


ALIASED = {**DOCUMENT, "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example.com/token"}}


def test_who_shows_a_certificate_goes_to_the_alias_and_nobody_else_does(finish: Any, answer: Any) -> None:
    """RFC 8705 s5: at the other address its certificate is not asked for."""
    metadata = finish(discover(ISSUER), answer(ALIASED))
    form, now = (("grant_type", "client_credentials"),), 1_700_000_000
    client = ClientIdentity("broker", None, ISSUER, mutual_tls=True)
    assert token_request(metadata, form, client, now).url == "https://mtls.example.com/token"
    assert token_request(metadata, form, replace(client, mutual_tls=False), now).url == f"{ISSUER}/token"
    assert metadata.mutual("authorization_endpoint") == f"{ISSUER}/authorize"


@pytest.mark.parametrize("alias", ["http://example.com/token", "http://127.0.0.1/token", "https://169.254.169.254/", 7])
def test_an_alias_that_leads_to_somebody_elses_place_is_refused(finish: Any, answer: Any, alias: Any) -> None:
    metadata = finish(discover(ISSUER), answer({**DOCUMENT, "mtls_endpoint_aliases": {"token_endpoint": alias}}))
    with pytest.raises(ConfigurationError, match="token_endpoint"):
        metadata.mutual("token_endpoint")


@pytest.mark.parametrize("aliases", [None, [], "https://mtls.example.com", {}, {"introspection_endpoint": "x"}])
def test_without_an_alias_the_endpoint_itself_is_meant(finish: Any, answer: Any, aliases: Any) -> None:
    metadata = finish(discover(ISSUER), answer({**DOCUMENT, "mtls_endpoint_aliases": aliases}))
    assert metadata.mutual("token_endpoint") == f"{ISSUER}/token"
