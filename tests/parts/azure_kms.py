"""Azure Key Vault on loopback, with what gives tokens for it: Entra's token endpoint and a machine's identity endpoint.

Written after the documented REST interface, and strict: another version of it, members that it does not have, keys and
tokens that are not its own are errors in Azure's form.
"""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from tests.parts.handled import Silent, handled

RESOURCE = "https://vault.azure.net"
TENANT, CLIENT, ASSERTION = "a-tenant", "a-client", "a-token-of-the-workload"

_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
_RSA = [rsa.generate_private_key(65537, 2048) for _ in range(2)]

Answer = tuple[int, dict[str, Any]]


class RefusedError(Exception):
    """An error in Azure's form."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.answer: Answer = status, {"error": {"code": code, "message": "made up"}}


class KeyVault:
    """What the service holds, and every request that it got. `spoils` alters an answer on its way back."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[str, Any]]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.tokens: set[str] = set()
        self.failing: int | None = None
        self.spoils: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        self.url = ""
        self.rotate("stead")

    def rotate(self, name: str, key: Any = None) -> None:
        """Another version, which is the newest from now on: RSA, or the bytes of a symmetric one."""
        versions = self.versions.setdefault(name, [])
        versions.append((secrets.token_hex(16), key or _RSA[len(versions) % 2]))

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._by_assertion({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if url.path == "/metadata/identity/oauth2/token":
            return self._by_machine(query, headers)
        members = json.loads(body) if body else {}
        self.requests.append((url.path, members))
        if self.failing is not None:
            raise RefusedError(self.failing, "MadeUp")
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise RefusedError(401, "Unauthorized")
        if query != {"api-version": "7.4"}:
            raise RefusedError(400, "BadParameter")
        return 200, self.spoils(self._key_operation(method, url.path.split("/")[1:], members))

    def _key_operation(self, method: str, path: list[str], members: dict[str, Any]) -> dict[str, Any]:
        match method, path:
            case "GET", ["keys", name] if name in self.versions:
                return {"key": {"kid": self._kid(name, self.versions[name][-1][0]), "kty": "RSA"}, "attributes": {}}
            case "POST", ["keys", name, version, operation] if version in dict(self.versions.get(name, ())):
                key = dict(self.versions[name])[version]
                return {"kid": self._kid(name, version), "value": _encoded(_operated(operation, key, members))}
        raise RefusedError(404, "KeyNotFound")

    def _kid(self, name: str, version: str) -> str:
        return f"{self.url}/keys/{name}/{version}"

    def _by_assertion(self, form: dict[str, str]) -> Answer:
        wanted = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": ASSERTION,
            "scope": f"{RESOURCE}/.default",
        }
        if form != wanted:
            return 401, {"error": "invalid_client", "error_description": "made up"}
        return 200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": self._token()}

    def _by_machine(self, query: dict[str, str], headers: Any) -> Answer:
        if headers.get("metadata") != "true" or query != {"api-version": "2018-02-01", "resource": RESOURCE}:
            return 400, {"error": "invalid_request", "error_description": "made up"}
        return 200, {"token_type": "Bearer", "expires_in": "3599", "resource": RESOURCE, "access_token": self._token()}

    def _token(self) -> str:
        token = secrets.token_hex(16)
        self.tokens.add(token)
        return token


def _operated(operation: str, key: Any, members: dict[str, Any]) -> bytes:
    symmetric = isinstance(key, bytes)
    if members.keys() != {"alg", "value"} or members["alg"] != ("A256KW" if symmetric else "RSA-OAEP-256"):
        raise RefusedError(400, "BadParameter")
    value = base64.urlsafe_b64decode(members["value"] + "=" * (-len(members["value"]) % 4))
    work: dict[str, Callable[[], bytes]] = {
        "wrapkey": lambda: aes_key_wrap(key, value) if symmetric else key.public_key().encrypt(value, _OAEP),
        "unwrapkey": lambda: aes_key_unwrap(key, value) if symmetric else key.decrypt(value, _OAEP),
    }
    try:
        return work[operation]()
    except (ValueError, InvalidUnwrap):
        raise RefusedError(400, "BadParameter") from None


def public_half(service: KeyVault, name: str = "stead") -> Any:
    """What anybody may know who may look at the key."""
    return service.versions[name][-1][1].public_key()


def sealed_by_anybody(service: KeyVault, value: bytes) -> bytes:
    """What whoever has the public half can make."""
    sealed: bytes = public_half(service).encrypt(value, _OAEP)
    return sealed


def symmetric_key() -> bytes:
    return os.urandom(32)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def serving() -> Iterator[KeyVault]:
    """The service, for as long as the context lasts."""
    service = KeyVault()

    class Handler(Silent):
        def do_GET(self) -> None:
            self._reply(b"")

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["content-length"])))

        def _reply(self, body: bytes) -> None:
            try:
                status, answer = service.answer(self.command, self.path, self.headers, body)
            except RefusedError as refused:
                status, answer = refused.answer
            self.send(status, json.dumps(answer).encode(), content_type="application/json")

    with handled(Handler) as service.url:
        yield service
