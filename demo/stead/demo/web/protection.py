"""What stands in front of every page: the content policy, the exact origin of whoever changes something, one host.

Plain ASGI. Knows nothing of sessions; the per-session token is checked where the session is.
"""

import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from stead.demo.web.session import Session
from stead.identity.errors import AccessDenied, IdentityError, InvalidRequest
from stead.identity.replies import reply
from stead.identity.strict_json import parse_object
from stead.identity.types import ASGIApp, Json, Message, Receive, Scope, Send

MAX_BODY = 16_384
_SAFE = frozenset({"GET", "HEAD"})


class Protected:
    """Headers on every answer; 403 for a change that comes from another origin, 421 for another host's name."""

    def __init__(self, app: ASGIApp, *, origin: str, form_origins: Sequence[str]) -> None:
        self._app = app
        self._origin = origin
        self._host = urlsplit(origin).netloc
        self._headers = _headers(form_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = self._with_headers(send, "no-cache" if scope["path"].startswith("/static/") else "no-store")
        refused = self._refusal(scope["method"], Headers(scope=scope))
        if refused is None:
            await self._app(scope, receive, send)
        else:
            status, error = refused
            await reply(send, status, error.as_json())

    def _refusal(self, method: str, headers: Headers) -> tuple[int, IdentityError] | None:
        # Another name for this address would be another site's page reading ours (DNS rebinding).
        if headers.getlist("host") != [self._host]:
            return 421, InvalidRequest(f"This is {self._host}, and no other host.")
        if method not in _SAFE and headers.getlist("origin") != [self._origin]:
            return 403, AccessDenied(
                "This request does not come from FinPort's own page.", hint="Open FinPort and try again."
            )
        return None

    def _with_headers(self, send: Send, cached: str) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*self._headers, ("cache-control", cached)):
                    headers.setdefault(name, value)
            await send(message)

        return sending


def _headers(form_origins: Iterable[str]) -> tuple[tuple[str, str], ...]:
    # form-action covers the redirect of the sign-in form too, which ends at the provider.
    forms = " ".join(("'self'", *form_origins))
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        f"form-action {forms}",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return (
        ("content-security-policy", "; ".join(policy)),
        ("x-content-type-options", "nosniff"),
        # Not no-referrer: with it a browser sends `Origin: null` from our own forms.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    )


async def body_json(request: Request, session: Session) -> Json:
    """The JSON object of a script's POST. Raises `InvalidRequest`, and `AccessDenied` without the session's token."""
    check_csrf(session, request.headers.get("x-csrf-token"))
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidRequest("The request is not JSON.")
    return parse_object(await bounded_body(request), max_bytes=MAX_BODY)


async def bounded_body(request: Request) -> bytes:
    """The body, if it is small. Raises `InvalidRequest`."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise InvalidRequest("The request is too long.", hint="Say it in fewer words.")
    return bytes(body)


def check_csrf(session: Session, presented: object) -> None:
    """Raises `AccessDenied` unless `presented` is the session's token."""
    text = presented if isinstance(presented, str) else ""
    if not hmac.compare_digest(text.encode(), session.csrf.encode()):
        raise AccessDenied("This page is from another session.", hint="Reload it and try again.")
