"""How a service joins: it registers, and an administrator adds it."""

from typing import Any

import httpx
from joserfc.jwk import ECKey

from tests.server.parties import Login
from tests.server.world import World

HELLO = "http://127.0.0.40:9000"


async def register(world: World, metadata: dict[str, Any], token: str | None = None) -> httpx.Response:
    token = token or world.issuer.home.secret("initial-access-token").hex()
    headers = {"authorization": f"Bearer {token}"}
    return await world.http.post(world.issuer.url + "/register", json=metadata, headers=headers)


def metadata_of(key: ECKey, **changes: Any) -> dict[str, Any]:
    return {
        "client_name": "hello-agent",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "jwks": {"keys": [key.as_dict(private=False)]},
        **changes,
    }


async def admin_token(world: World, username: str = "admin", scope: str = "openid registry:admin registry:obo") -> str:
    login = Login()
    party = world.party("stead-cli", redirect_uri="http://127.0.0.1:7/callback", public=True)
    code = await world.code(login, username, scope, world.issuer.url, party=party)
    return str((await world.redeem(login, code, party=party)).json()["access_token"])


async def add(world: World, token: str, **changes: Any) -> httpx.Response:
    body = {
        "audience": HELLO,
        "name": "Hello",
        "client_id": "hello-agent",
        "scopes": {"hello:say": ["customer"], "hello:list": []},
        "callers": [{"client_id": "broker", "scopes": ["hello:say"], "mode": "obo"}],
        **changes,
    }
    headers = {"authorization": f"Bearer {token}"}
    return await world.http.post(world.issuer.url + "/admin/audiences", json=body, headers=headers)


async def remove(world: World, token: str, audience: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    url = world.issuer.url + "/admin/audiences"
    return (await world.http.delete(url, params={"audience": audience}, headers=headers)).status_code
