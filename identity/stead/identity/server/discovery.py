"""What the issuer says about itself (OpenID Connect Discovery, RFC 8414), and its public keys."""

from stead.identity.dpop import ALGORITHMS
from stead.identity.flows.id_jag import ID_JAG, PROFILE
from stead.identity.policy.authzen import described as decision_point
from stead.identity.server.assurance import CLASSES
from stead.identity.server.authority import LOGIN_SCOPES
from stead.identity.server.calls import Call, Reply, public
from stead.identity.server.clients import ASSERTION, CODE, EXCHANGE, REFRESH, SERVICE
from stead.identity.server.rich import PAYMENT_INITIATION
from stead.identity.server.settings import ServerSettings
from stead.identity.server.site import Site
from stead.identity.signals.feed import ENDPOINT as REVOCATIONS
from stead.identity.types import Json
from stead.identity.workload_keys import CLIENT_KEYS

_ENDPOINTS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "jwks_uri": "/jwks",
    "pushed_authorization_request_endpoint": "/par",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/logout",
    CLIENT_KEYS: "/client-keys",
    "stead_edges_endpoint": "/edges",
    REVOCATIONS: "/revocations",
}


def metadata(site: Site, call: Call) -> Reply:
    """The metadata document, the same under both well-known names."""
    return public(_document(site.issuer.settings))


def decision_metadata(site: Site, call: Call) -> Reply:
    """What it says about itself as a decision point (AuthZEN Authorization API 1.0 s9)."""
    return public(decision_point(site.issuer.settings.issuer))


def jwks(site: Site, call: Call) -> Reply:
    """The public keys."""
    return public(site.issuer.jwks)


def _document(settings: ServerSettings) -> Json:
    endpoints = {name: settings.url(path) for name, path in _ENDPOINTS.items()}
    if settings.registration:
        endpoints["registration_endpoint"] = settings.url("/register")
    by_certificate = ["tls_client_auth", "self_signed_tls_client_auth"] if settings.certificates else []
    confidential = [*by_certificate, "private_key_jwt"]
    return {
        "issuer": settings.issuer,
        "organization_name": settings.name,
        **endpoints,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        **_domains(settings),
        "scopes_supported": list(LOGIN_SCOPES),
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*confidential, "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_methods_supported": [*confidential, "none"],
        "introspection_endpoint_auth_methods_supported": confidential,
        "id_token_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": settings.certificates,
        "acr_values_supported": list(CLASSES),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_supported": ["sub", "name", "preferred_username", "auth_time", "acr", "amr", "sid"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_details_types_supported": [PAYMENT_INITIATION],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def _domains(settings: ServerSettings) -> Json:
    """What it does for calls into other domains, and from them; nothing is said of what it does not do."""
    grants = [CODE, REFRESH, SERVICE, EXCHANGE, *([ASSERTION] if settings.grant_issuers else [])]
    outward = {"identity_chaining_requested_token_types_supported": [ID_JAG]} if settings.resource_servers else {}
    inward = {"authorization_grant_profiles_supported": [PROFILE]} if settings.grant_issuers else {}
    return {"grant_types_supported": grants, **outward, **inward}
