"""Where a verified caller enters the MCP SDK. Knows ASGI and the SDK's notion of a user; decides nothing."""

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.responses import Response

from stead.identity.types import ASGIApp, Receive, Scope, Send
from stead.identity.values import Principal, current_principal

PATH = "/mcp"


class SignedIn:
    """Tells the SDK who is calling, without the token: its session and state protections bind to the principal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._signed_in = AuthContextMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)  # public paths are among these: nobody has signed in there
        elif scope["method"] != "POST":
            # A server without server-sent streams of its own answers 405 (MCP 2025-11-25, Streamable HTTP).
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
        else:
            await self._signed_in({**scope, "user": _user(current_principal())}, receive, send)


def _user(principal: Principal) -> AuthenticatedUser:
    handle = AccessToken(
        token=principal.jti,
        client_id=principal.client_id,
        scopes=sorted(principal.scopes),
        expires_at=principal.expires_at,
        subject=principal.subject,
        claims={"iss": principal.issuer},
    )
    return AuthenticatedUser(handle)
