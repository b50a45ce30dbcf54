"""Authlib's server core, bound to our calls and replies.

Authlib is given requests that were read strictly before; it keeps the order of the OAuth checks, ours are the values.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Payload, OAuth2Request

from stead.identity.confirmation import JKT, Confirmation
from stead.identity.server.calls import NO_STORE, Call, Parameters, Reply, redirect
from stead.identity.server.clients import Client, find_client
from stead.identity.server.errors import Refused, invalid_client
from stead.identity.server.issuer import Issuer


class Payload(OAuth2Payload):  # type: ignore[misc]
    """The parameters, in Authlib's words."""

    def __init__(self, parameters: Parameters) -> None:
        self._data = parameters.flat()
        self._lists = {name: list(found) for name, found in parameters.values.items()}

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._lists


class Request(OAuth2Request):  # type: ignore[misc]
    """A call, in Authlib's words: form members for the token endpoint, query members for the authorization endpoint."""

    def __init__(self, method: str, url: str, parameters: Parameters, headers: Mapping[str, str]) -> None:
        super().__init__(method, url, headers=headers)
        self.parameters = parameters
        self.payload = Payload(parameters)
        self.authorization: Any = None
        """What the person authorized; set before a code is issued."""
        self.confirmation: Confirmation | None = None
        """The key that the request proves to have (RFC 9449, RFC 8705): what is issued is bound to it."""
        self.certificate: str | None = None
        """The certificate that the connection proved to have, as PEM."""

    @property
    def jkt(self) -> str | None:
        """The key that a DPoP proof came with."""
        found = self.confirmation
        return found.thumbprint if found is not None and found.method == JKT else None

    @property
    def proven(self) -> str | None:
        """What a public client's refresh token is bound to: a DPoP key's thumbprint, or `x5t#S256:…` (RFC 8705 s4)."""
        return self.jkt or (None if self.confirmation is None else str(self.confirmation))

    @property
    def args(self) -> dict[str, str]:
        return self.parameters.flat()

    @property
    def form(self) -> dict[str, str]:
        return self.parameters.flat()


class Core(AuthorizationServer):  # type: ignore[misc]
    """Authlib's composition of grants, over one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__()
        self.issuer = issuer

    def query_client(self, client_id: str) -> Client | None:
        return find_client(self.issuer.store, client_id)

    def authenticate_client(self, request: Request, methods: Sequence[str], endpoint: str = "token") -> Client:
        """One method, or a clear refusal (RFC 6749 s2.3: not more than one in a request)."""
        if "authorization" in request.headers or "client_secret" in request.form:
            raise invalid_client("This issuer knows private_key_jwt only.", hint="Send client_assertion in the form.")
        try:
            client: Client = super().authenticate_client(request, methods, endpoint)
        except Refused:
            raise
        except (OAuth2Error, ValueError):  # ValueError: Authlib may put a quotation mark where RFC 6749 has none
            raise invalid_client("The client is not authenticated.", hint="Send a signed client_assertion.") from None
        _same_client(request, client)
        self._require_certificate(request, client)
        request.client = client
        return client

    def _require_certificate(self, request: Request, client: Client) -> None:
        """A client that is known by its certificate is known by nothing else."""
        if client.client_id in self.issuer.settings.client_certificates and request.auth_method != "tls_client_auth":
            raise invalid_client("This client is known by its certificate.", hint="Name it by client_id.")

    def save_token(self, token: object, request: Request) -> None:
        """Nothing to do: issuing writes its own record, in the same transaction."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: Any) -> Request:
        """A call of ours as Authlib's request."""
        if isinstance(request, Request):
            return request
        call: Call = request
        made = Request(call.method, self.issuer.settings.url(call.path), call.form, call.headers)
        made.certificate = call.shown
        return made

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Reply:
        return Reply(status, body, tuple(headers))

    def handle_error_response(self, request: Request, error: OAuth2Error) -> Reply:
        """To the client by redirect where one was validated (RFC 6749 s4.1.2.1), else as JSON (s5.2)."""
        body = dict(error.get_body())
        if error.redirect_uri:
            return self.answer(error.redirect_uri, body, request.payload.state)
        return Reply(error.status_code, body, NO_STORE)

    def answer(self, redirect_uri: str, members: Mapping[str, str], state: str | None) -> Reply:
        """An authorization response: `state` exactly as it came, and `iss` in every one (RFC 9207 s2)."""
        echoed = {} if state is None else {"state": state}
        wanted = {name: value for name, value in members.items() if name not in {"state", "hint"}}
        return redirect(with_query(redirect_uri, {**wanted, **echoed, "iss": self.issuer.name}))


def with_query(url: str, members: Mapping[str, str]) -> str:
    """The URL with query members added to those it has."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(members)) if part)
    return urlunsplit(parts._replace(query=query))


def _same_client(request: Request, client: Client) -> None:
    named = request.payload.client_id
    if named is not None and named != client.client_id:
        raise invalid_client("client_id names another client than the assertion.")


class _Redacted(logging.Filter):
    """Authlib logs whole tokens at debug level ("Issue token %r to %r")."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_kept(one) for one in record.args)
        elif record.args:
            record.args = ("(redacted)",)
        return True


def _kept(argument: object) -> object:
    return argument.client_id if isinstance(argument, Client) else "(redacted)"


def redact_authlib() -> None:
    """Takes arguments out of every log record that Authlib makes."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("authlib") and isinstance(logger, logging.Logger) and not logger.filters:
            logger.addFilter(_Redacted())
