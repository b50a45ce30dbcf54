"""Bad input at every door of a running network: an error in the protocol's own form, never a traceback, never a 500."""

import json

import httpx
import pytest

from tests.journeys.finport import FinPort

JSON = {"content-type": "application/json"}
BODIES = {
    "malformed JSON": b'{"jsonrpc": "2.0", "id": 1, "method":',
    "an array where an object belongs": b"[1, 2, 3]",
    "100,000 nested brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a body of 1 MB": b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"a" * 1_000_000 + b'"}',
    "a number of 100,000 digits": b'{"jsonrpc": "2.0", "id": ' + b"9" * 100_000 + b"}",
    "a member that stands twice": b'{"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "method": "GetTask"}',
    "UTF-16": '{"jsonrpc": "2.0"}'.encode("utf-16"),
    "not a number": b'{"jsonrpc": "2.0", "id": NaN}',
    "an unknown method": b'{"jsonrpc": "2.0", "id": 1, "method": "Transmogrify", "params": {}}',
    "nothing": b"",
}


def doors(finport: FinPort) -> dict[str, str]:
    """Every URL that takes a body."""
    urls = finport.urls
    network = finport.home.network
    return {
        "broker": f"{urls['broker']}/a2a",
        "registry": f"{urls['broker']}/registry",
        "push": f"{urls['broker']}/push",
        "trail": f"{network.trail}/events",
        "token": f"{urls['corporate_idp']}/token",
        "register": f"{urls['corporate_idp']}/register",
        "admin": f"{urls['corporate_idp']}/admin/audiences",
        "bank token": f"{urls['bank_idp']}/token",
        "par": f"{urls['bank_idp']}/par",
        **{f"agent {name}": f"{url}/a2a" for name, url in urls["agents"].items()},
        **{f"mcp {name}": f"{url}/mcp" for name, url in urls["mcp_servers"].items()},
    }


def refused_in_form(reply: httpx.Response) -> None:
    """A client error, as JSON, without a word of ours about how it came about."""
    assert 400 <= reply.status_code < 500, (reply.status_code, reply.text[:200])
    assert "Traceback" not in reply.text
    assert 'File "' not in reply.text
    body = json.loads(reply.text)
    assert "error" in body, reply.text[:300]
    said = body["error"]["message"] if isinstance(body["error"], dict) else body["error_description"]
    assert said


@pytest.mark.parametrize("bad", BODIES)
async def test_a_body_that_is_not_what_the_door_takes_is_refused_in_form(
    finport: FinPort, http: httpx.AsyncClient, bad: str
) -> None:
    for door, url in doors(finport).items():
        reply = await http.post(url, content=BODIES[bad], headers=JSON)
        try:
            refused_in_form(reply)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"{door}: {reply.status_code} {reply.text[:300]}") from error


async def test_a_content_type_that_no_door_takes_is_refused_in_form(finport: FinPort, http: httpx.AsyncClient) -> None:
    for url in doors(finport).values():
        refused_in_form(await http.post(url, content=b"<a/>", headers={"content-type": "text/xml"}))


@pytest.mark.parametrize(
    "credential",
    ["Bearer", "Bearer not-a-token", "Basic YWxpY2U6YWxpY2U=", "Bearer a.b.c", "Bearer " + "a" * 9000],
)
async def test_a_credential_that_is_none_is_refused_with_a_challenge(
    finport: FinPort, http: httpx.AsyncClient, credential: str
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for door, url in doors(finport).items():
        if not url.endswith(("/a2a", "/mcp")):
            continue
        reply = await http.post(url, json=call, headers={"authorization": credential})
        assert reply.status_code == 401, (door, reply.text)
        challenge = reply.headers["www-authenticate"]
        assert challenge.startswith("Bearer ")
        assert "/.well-known/oauth-protected-resource" in challenge
        refused_in_form(reply)


async def test_every_protected_service_says_whose_tokens_it_takes(finport: FinPort, http: httpx.AsyncClient) -> None:
    urls = finport.urls
    for url in [urls["broker"], *urls["agents"].values(), *urls["mcp_servers"].values()]:
        reply = await http.get(f"{url}/.well-known/oauth-protected-resource")
        assert reply.status_code == 200
        document = reply.json()
        assert document["resource"] == url
        issuer = urls["bank_idp"] if url == urls["mcp_servers"]["payments"] else urls["corporate_idp"]
        assert document["authorization_servers"] == [issuer]


async def test_an_unknown_path_is_refused_without_a_stack(finport: FinPort, http: httpx.AsyncClient) -> None:
    urls = finport.urls
    for url in [urls["web"], urls["broker"], urls["corporate_idp"], urls["bank_idp"], *urls["agents"].values()]:
        reply = await http.get(f"{url}/no/such/path")
        assert 400 <= reply.status_code < 500
        assert "Traceback" not in reply.text


async def test_the_command_line_names_what_was_wrong_with_it(finport: FinPort) -> None:
    for words, code in (
        (("ask", "Show my portfolio", "--as", "nobody"), 1),
        (("ask", "Show my portfolio"), 2),
        (("serve", "agent", "nonsense"), 2),
        (("trail", "show", "no-such-task"), 1),
        (("token", "decode", "a.b"), 1),
        (("registry", "add", "http://127.0.0.1:1", "--as", "admin"), 1),
        (("registry", "add", "nonsense", "--as", "admin"), 1),
    ):
        exit_code, _, err = await finport.stead(*words)
        assert exit_code == code, (words, exit_code, err)
        assert err.strip()
        assert "Traceback" not in err, words
