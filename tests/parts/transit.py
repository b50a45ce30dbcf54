"""A key service that speaks the transit engine's wire format on loopback: versions of one AES-GCM key, bound data."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.parts.handled import Silent, handled

TOKEN = "a-token-of-the-key-service"


class Transit:
    """What the service holds, and every request that it got."""

    def __init__(self) -> None:
        self.versions = [os.urandom(32)]
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.status: int | None = None
        self.url = ""
        self.answers = threading.Event()
        """Cleared, the service takes requests and does not answer."""
        self.answers.set()

    def rotate(self) -> None:
        self.versions.append(os.urandom(32))

    def answer(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append((path, body))
        self.answers.wait()
        if self.status is not None:
            return self.status, {"errors": ["made up"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        match path.removeprefix("/v1/transit/").split("/"):
            case ["keys", "stead"]:
                return 200, {"data": {"name": "stead", "latest_version": len(self.versions)}}
            case ["encrypt", "stead"]:
                return 200, {"data": {"ciphertext": self._sealed(body)}}
            case ["decrypt", "stead"]:
                return self._opened(body)
        return 404, {"errors": ["no handler for route"]}

    def _sealed(self, body: dict[str, Any]) -> str:
        nonce, plain = os.urandom(12), base64.b64decode(body["plaintext"])
        sealed = AESGCM(self.versions[-1]).encrypt(nonce, plain, base64.b64decode(body["associated_data"]))
        return f"vault:v{len(self.versions)}:{base64.b64encode(nonce + sealed).decode()}"

    def _opened(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        _, version, text = body["ciphertext"].split(":")
        sealed, bound = base64.b64decode(text), base64.b64decode(body["associated_data"])
        try:
            plain = AESGCM(self.versions[int(version[1:]) - 1]).decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, IndexError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@contextmanager
def serving() -> Iterator[Transit]:
    """The service, for as long as the context lasts."""
    transit = Transit()

    class Handler(Silent):
        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _reply(self, body: dict[str, Any]) -> None:
            status, answer = transit.answer(self.path, self.headers.get("x-vault-token", ""), body)
            self.send(status, json.dumps(answer).encode(), content_type="application/json")

    with handled(Handler) as transit.url:
        try:
            yield transit
        finally:
            transit.answers.set()
