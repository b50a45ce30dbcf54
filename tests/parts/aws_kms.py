"""AWS KMS on loopback: moto's, which speaks the real wire format, behind a check of the request's signature (SigV4)."""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "made-up-secret"
REGION, ACCOUNT = "eu-central-1", "123456789012"


class AwsKms:
    """What the service holds, and every request that it got: operation, members and the signed headers."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.requests: list[tuple[str, dict[str, Any], str]] = []
        self.failing: tuple[int, str] | None = None
        self.url = ""
        self.alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/stead"

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        operation = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix("TrentService.")
        self.requests.append((operation, json.loads(body or b"{}"), environ.get("HTTP_AUTHORIZATION", "")))
        if not is_signed(environ, body):
            return _error(start, 403, "InvalidSignatureException")
        if self.failing is not None:
            return _error(start, *self.failing)
        environ["wsgi.input"] = BytesIO(body)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


def is_signed(environ: dict[str, Any], body: bytes) -> bool:
    """Whether the request carries the signature that our secret gives it (Signature Version 4)."""
    shown = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/kms/aws4_request, SignedHeaders=([a-z0-9;-]+), "
        r"Signature=([0-9a-f]{64})",
        environ.get("HTTP_AUTHORIZATION", ""),
    )
    if shown is None or shown[1] != KEY_ID or shown[3] != REGION:
        return False
    signed = shown[4].split(";")
    if not {"host", "x-amz-date", "x-amz-target"} <= set(signed):
        return False
    named = "".join(f"{name}:{_header(environ, name)}\n" for name in signed)
    canonical = "\n".join(["POST", "/", "", named, shown[4], hashlib.sha256(body).hexdigest()])
    scope = f"{shown[2]}/{REGION}/kms/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", environ["HTTP_X_AMZ_DATE"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for part in (shown[2], REGION, "kms", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), shown[5])


def _header(environ: dict[str, Any], name: str) -> str:
    bare = name.upper().replace("-", "_")
    return str(environ.get(bare if bare == "CONTENT_TYPE" else f"HTTP_{bare}", "")).strip()


def _error(start: Callable[..., Any], status: int, code: str) -> Iterable[bytes]:
    body = json.dumps({"__type": code, "message": "made up"}).encode()
    start(f"{status} No", [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))])
    return [body]


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[AwsKms]:
    """The service, for as long as the context lasts."""
    service = AwsKms()
    server = make_server("127.0.0.1", 0, service, threaded=True, request_handler=_Silent)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
