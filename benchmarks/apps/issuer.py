"""An authorization server that knows Alice and the links, and counts the requests at its token endpoint."""

from itertools import pairwise

from starlette.responses import JSONResponse

from benchmarks.apps import LINKS, SCOPE, link_name
from stead.identity.home import Home
from stead.identity.samples import ALICE
from stead.identity.server import (
    CODE,
    REFRESH,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.types import ASGIApp, Receive, Scope, Send


def app(home: Home, url: str) -> ASGIApp:
    """The issuer at this origin."""
    settings = ServerSettings(url, "Issuer", "corporate", home, "issuer")
    seed(settings, _seed(home))
    return _Counting(authorization_server(settings))


def _seed(home: Home) -> Seed:
    urls = home.network.agents
    names = [link_name(number) for number in range(1, LINKS + 1)]
    terminal = SeedClient("stead-cli", "terminal", redirect_uris=("http://127.0.0.1/callback",), grants=(CODE, REFRESH))
    return Seed(
        persons=(SeedPerson("alice", ALICE.username, ALICE.name, ALICE.password, ALICE.roles),),
        clients=(terminal, *(SeedClient(name, name, home.key(name)) for name in names)),
        audiences=tuple(SeedAudience(urls[name], name, {SCOPE: ("customer",)}, name) for name in names),
        edges=(
            SeedEdge("stead-cli", urls[names[0]], (SCOPE,), "login"),
            *(SeedEdge(one, urls[next_one], (SCOPE,), "obo") for one, next_one in pairwise(names)),
        ),
    )


class _Counting:
    """Answers `/counted` with how many requests its token endpoint had."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/counted":
            await JSONResponse({"token": self._count})(scope, receive, send)
            return
        self._count += scope["type"] == "http" and scope["path"] == "/token"
        await self._app(scope, receive, send)
