"""Whatever comes, the answer is an error of the protocol: no traceback, no 500."""

from typing import Any

import httpx
import pytest

from tests.server.world import World

FORMS = ("/token", "/par", "/revoke", "/introspect", "/login", "/consent", "/logout")
JSONS = ("/register", "/admin/audiences", "/access/v1/evaluation", "/access/v1/evaluations")
FORM_TYPE = {"content-type": "application/x-www-form-urlencoded"}


async def client_error(response: httpx.Response) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["error"]
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"\xff\xfe=1",
        b"%ff=1",
        b"a=%00",
        b"nonsense",
        b"&".join(b"a%d=1" % number for number in range(100)),
        b"scope=" + b"x" * 3_000,
    ],
)
async def test_a_malformed_form_is_a_client_error(world: World, path: str, body: bytes) -> None:
    await client_error(await world.http.post(world.issuer.url + path, content=body, headers=FORM_TYPE))


@pytest.mark.parametrize("path", [*FORMS, *JSONS])
async def test_a_megabyte_is_refused(world: World, path: str) -> None:
    kind = FORM_TYPE if path in FORMS else {"content-type": "application/json"}
    response = await world.http.post(world.issuer.url + path, content=b"a" * 1_048_576, headers=kind)
    assert response.status_code == 413

    async def endless() -> Any:
        for _ in range(64):
            yield b"a" * 16_384

    response = await world.http.post(world.issuer.url + path, content=endless(), headers=kind)
    assert response.status_code == 413


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_a_wrong_content_type_is_refused(world: World, path: str, kind: str) -> None:
    content = b"{}" if "json" in kind else b"a=1"
    response = await world.http.post(world.issuer.url + path, content=content, headers={"content-type": kind})
    assert response.status_code == 415


@pytest.mark.parametrize("path", FORMS)
async def test_parameters_in_the_query_of_a_post_are_refused(world: World, path: str) -> None:
    response = await world.http.post(
        world.issuer.url + path + "?grant_type=client_credentials", content=b"", headers=FORM_TYPE
    )
    await client_error(response)


@pytest.mark.parametrize("path", JSONS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000 + b"]" * 30_000,
        b"{",
        b"[]",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ],
)
async def test_malformed_json_is_a_client_error(world: World, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    await client_error(await world.http.post(world.issuer.url + path, content=body, headers=headers))


@pytest.mark.parametrize("name", ["grant_type", "code", "scope", "client_assertion", "subject_token"])
async def test_a_repeated_token_parameter_is_refused(world: World, name: str) -> None:
    form = [("grant_type", "client_credentials"), (name, "a"), (name, "b")]
    response = await world.broker.send("/token", form)
    assert response.json()["error"] == "invalid_request"


async def test_unknown_grants_paths_and_methods_are_client_errors(world: World) -> None:
    url = world.issuer.url
    for value in ("password", "implicit", "é", '"', "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        response = await world.broker.token(("grant_type", value))
        assert response.json()["error"] == "unsupported_grant_type"
    await client_error(await world.broker.token())
    await client_error(await world.http.get(url + "/nowhere"))
    await client_error(await world.http.get(url + "/token"))
    await client_error(await world.http.put(url + "/jwks"))
    assert (await world.http.head(url + "/authorize")).status_code == 405


async def test_two_authorization_headers_are_refused(world: World) -> None:
    headers = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    await client_error(await world.http.get(world.issuer.url + "/userinfo", headers=headers))
