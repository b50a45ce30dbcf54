"""What a service says about itself."""

import httpx
from starlette.routing import Route, Router

from stead.identity.metadata import health_routes, protected_resource


async def test_a_service_says_whose_tokens_it_takes() -> None:
    route = protected_resource("http://here", ["http://idp"], ["a", "b"], "Here", stead_tools={"t": {"grant": "obo"}})
    async with _plain(route) as http:
        answer = await http.get("/.well-known/oauth-protected-resource")
        assert answer.json() == {
            "resource": "http://here",
            "resource_name": "Here",
            "authorization_servers": ["http://idp"],
            "scopes_supported": ["a", "b"],
            "bearer_methods_supported": ["header"],
            "stead_tools": {"t": {"grant": "obo"}},
        }
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "max-age" in answer.headers["cache-control"]
        preflight = await http.options("/.well-known/oauth-protected-resource")
        assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "*")


async def test_health_and_readiness_differ() -> None:
    is_ready = False

    async def ready() -> bool:
        return is_ready

    async with _plain(*health_routes(ready)) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        is_ready = True
        assert (await http.get("/readyz")).status_code == 200
    async with _plain(*health_routes()) as http:
        assert (await http.get("/readyz")).status_code == 200


def _plain(*routes: Route) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Router(routes)), base_url="http://here")
