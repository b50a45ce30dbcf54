"""Google Cloud KMS on loopback, with what gives tokens for it: Google's STS and the metadata server of a machine.

Written after the documented REST interface, and strict: members that it does not have, sums that are not those of what
came, and tokens that it did not give are errors in Google's form.
"""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.parts.handled import Silent, handled

RING = "projects/finport/locations/europe-west3/keyRings/stead"
KEY = f"{RING}/cryptoKeys/vault"
SCOPE = "https://www.googleapis.com/auth/cloudkms"
METADATA = "/computeMetadata/v1"

_ENCRYPT = {"plaintext", "plaintextCrc32c", "additionalAuthenticatedData", "additionalAuthenticatedDataCrc32c"}
_DECRYPT = {"ciphertext", "ciphertextCrc32c", "additionalAuthenticatedData", "additionalAuthenticatedDataCrc32c"}

Answer = tuple[int, dict[str, Any] | str]


class RefusedError(Exception):
    """An error in Google's form."""

    def __init__(self, code: int, status: str) -> None:
        super().__init__(status)
        self.answer: Answer = code, {"error": {"code": code, "message": "made up", "status": status}}


class GoogleKms:
    """What the service holds, and every request that it got. `spoils` alters an answer on its way back."""

    def __init__(self) -> None:
        self.versions: dict[str, list[bytes]] = {KEY: [os.urandom(32)]}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.tokens: set[str] = set()
        self.failing: int | None = None
        self.spoils: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        self.url = ""

    def rotate(self, key: str = KEY) -> None:
        """Another version, which is the primary one from now on."""
        self.versions.setdefault(key, []).append(os.urandom(32))

    def get(self, path: str, query: dict[str, list[str]], headers: Any) -> Answer:
        if path == "/" or path.startswith(METADATA):
            return self._metadata(path, query, headers)
        self.requests.append((path, {}))
        key = self._admitted(path.removeprefix("/v1/"), headers)
        return 200, {"name": key, "purpose": "ENCRYPT_DECRYPT", "primary": {"name": self._newest(key)}}

    def post(self, path: str, body: bytes, headers: Any) -> Answer:
        if path == "/sts":
            return self._exchanged({name: values[0] for name, values in parse_qs(body.decode()).items()})
        members = json.loads(body)
        self.requests.append((path, members))
        name, _, operation = path.removeprefix("/v1/").partition(":")
        key = self._admitted(name, headers)
        answer = {"encrypt": self._encrypted, "decrypt": self._decrypted}[operation](key, members)
        return 200, self.spoils(answer)

    def _admitted(self, key: str, headers: Any) -> str:
        if self.failing is not None:
            raise RefusedError(self.failing, "MADE_UP")
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise RefusedError(401, "UNAUTHENTICATED")
        if key not in self.versions:
            raise RefusedError(404, "NOT_FOUND")
        return key

    def _newest(self, key: str) -> str:
        return f"{key}/cryptoKeyVersions/{len(self.versions[key])}"

    def _encrypted(self, key: str, members: dict[str, Any]) -> dict[str, Any]:
        read = _read(members, _ENCRYPT)
        nonce, number = os.urandom(12), len(self.versions[key])
        sealed = AESGCM(self.versions[key][-1]).encrypt(nonce, read["plaintext"], read["additionalAuthenticatedData"])
        ciphertext = bytes([number]) + nonce + sealed
        return {
            "name": self._newest(key),
            **_summed("ciphertext", ciphertext),
            "verifiedPlaintextCrc32c": True,
            "verifiedAdditionalAuthenticatedDataCrc32c": True,
            "protectionLevel": "SOFTWARE",
        }

    def _decrypted(self, key: str, members: dict[str, Any]) -> dict[str, Any]:
        read = _read(members, _DECRYPT)
        ciphertext, bound = read["ciphertext"], read["additionalAuthenticatedData"]
        try:
            version = self.versions[key][ciphertext[0] - 1]
            plain = AESGCM(version).decrypt(ciphertext[1:13], ciphertext[13:], bound)
        except (InvalidTag, IndexError, ValueError):
            raise RefusedError(400, "INVALID_ARGUMENT") from None
        used_primary = ciphertext[0] == len(self.versions[key])
        return {**_summed("plaintext", plain), "usedPrimary": used_primary, "protectionLevel": "SOFTWARE"}

    def _exchanged(self, form: dict[str, str]) -> Answer:
        """The token of a workload for one of Google's (workload identity federation)."""
        wanted = ("urn:ietf:params:oauth:grant-type:token-exchange", "a-token-of-the-workload", SCOPE)
        if (form.get("grant_type"), form.get("subject_token"), form.get("scope")) != wanted:
            return 400, {"error": "invalid_grant"}
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, {**self._token(), "issued_token_type": kind}

    def _metadata(self, path: str, query: dict[str, list[str]], headers: Any) -> Answer:
        if headers.get("metadata-flavor") != "Google" and path != "/":
            return 403, "Missing Metadata-Flavor:Google header."
        account = f"{METADATA}/instance/service-accounts"
        match path:
            case "/" | "/computeMetadata/v1/":
                return 200, "computeMetadata/"
            case _ if path == f"{METADATA}/project/project-id":
                return 200, "finport"
            case _ if path == f"{METADATA}/universe/universe-domain":
                return 200, "googleapis.com"
            case _ if path == f"{account}/default/":
                return 200, {"email": "stead@finport.example", "scopes": [SCOPE], "aliases": ["default"]}
            case _ if path.startswith(account) and path.endswith("/token") and query.get("scopes") == [SCOPE]:
                return 200, self._token()
        return 404, "not found"

    def _token(self) -> dict[str, Any]:
        token = secrets.token_hex(16)
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}


def _read(members: dict[str, Any], known: set[str]) -> dict[str, bytes]:
    if members.keys() != known or not all(isinstance(one, str) for one in members.values()):
        raise RefusedError(400, "INVALID_ARGUMENT")
    try:
        read = {name: base64.b64decode(members[name], validate=True) for name in known if not name.endswith("Crc32c")}
    except binascii.Error:
        raise RefusedError(400, "INVALID_ARGUMENT") from None
    if any(members[f"{name}Crc32c"] != str(_crc32c(content)) for name, content in read.items()):
        raise RefusedError(400, "INVALID_ARGUMENT")
    return read


def _summed(name: str, content: bytes) -> dict[str, str]:
    return {name: base64.b64encode(content).decode(), f"{name}Crc32c": str(_crc32c(content))}


def _crc32c(data: bytes) -> int:
    """By division of polynomials, bit by bit: another way than the one that is tested."""
    remainder = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            fed = (remainder ^ (byte >> bit)) & 1
            remainder = (remainder >> 1) ^ (0x82F63B78 * fed)
    return remainder ^ 0xFFFFFFFF


@contextmanager
def serving() -> Iterator[GoogleKms]:
    """The service, for as long as the context lasts."""
    service = GoogleKms()

    class Handler(Silent):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            self._reply(lambda: service.get(url.path, parse_qs(url.query), self.headers))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._reply(lambda: service.post(self.path, body, self.headers))

        def _reply(self, made: Callable[[], Answer]) -> None:
            try:
                status, answer = made()
            except RefusedError as refused:
                status, answer = refused.answer
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            kind = "application/text" if isinstance(answer, str) else "application/json"
            self.send(status, content, content_type=kind, metadata_flavor="Google")

    with handled(Handler) as service.url:
        yield service
