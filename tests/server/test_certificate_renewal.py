"""Certificates that are renewed, withdrawn, or outlived by a connection: nothing of the former ones counts."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from stead.identity import bounded_http
from stead.identity.egress import Target
from stead.identity.serving import listen
from stead.identity.tls import TlsFiles, thumbprint
from stead.identity.values import AccessToken, Grant
from tests.server.certificates import Authority, thumbprint_of
from tests.server.certified import (
    PATH,
    SCOPES,
    World,
    certified_world,
    ledger,
)
from tests.server.parties import claims_of
from tests.server.secured import serving


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with certified_world(tmp_path_factory.mktemp("tls")) as made:
        yield made


async def test_a_renewed_certificate_is_shown_and_bound_to_without_a_restart(world: World) -> None:
    former = world.authority.files("renewed")
    caller = world.caller(former)
    async with caller:
        _, old = await world.call(caller)
        kept = former.client()
        world.authority.files("renewed")
        answer, new = await world.call(caller)
        assert answer.status_code == 200, answer.text
        assert claims_of(new)["cnf"] == {"x5t#S256": thumbprint_of(former)} != claims_of(old)["cnf"]
        assert not caller.can_show(AccessToken(old))
        assert caller.can_show(AccessToken(new))
    assert (await world.tries(old, former)).status_code == 401
    async with httpx.AsyncClient(verify=kept, trust_env=False) as http:
        sent = {"authorization": f"Bearer {old}"}
        assert (await http.post(f"{world.url}{PATH}", json={}, headers=sent)).status_code == 200


async def test_a_caller_that_never_asked_for_it_is_not_left_with_tokens_of_its_former_certificate(world: World) -> None:
    """An issuer binds to what it sees; reads go without a proof of a key that would come before."""
    caller = world.caller(world.authority.files("casual"), binds=False)
    read = Target(world.url, SCOPES, Grant.S2S)
    async with caller:
        first = await caller.exchange(read, None)
        assert await caller.exchange(read, None) is first
        world.authority.files("casual")
        second = await caller.exchange(read, None)
    assert claims_of(first.reveal())["cnf"].keys() == {"x5t#S256"}
    assert claims_of(second.reveal())["cnf"] != claims_of(first.reveal())["cnf"]


async def test_a_service_takes_its_renewed_certificate_up_and_half_a_renewal_changes_nothing(world: World) -> None:
    files = world.authority.files("service")
    listener = listen("https://127.0.0.1:0")

    async def presented() -> str:
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2], ssl=world.client.client())
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return thumbprint(certificate)

    async with serving(ledger, files, listener):
        first = await presented()
        assert first == thumbprint_of(files)
        key = files.key.read_bytes()
        second = world.authority.files("service")
        whole = second.key.read_bytes()
        files.key.write_bytes(key)
        assert await presented() == first
        files.key.write_bytes(whole)
        assert await presented() == thumbprint_of(files) != first


async def test_an_authority_that_is_believed_no_longer_ends_the_next_connection(world: World, tmp_path: Path) -> None:
    former = Authority(tmp_path, "Former authority")
    believed = tmp_path / "believed.pem"
    believed.write_bytes(world.authority.file.read_bytes() + former.file.read_bytes())
    own, listener = world.authority.files("choosy"), listen("https://127.0.0.1:0")
    files = TlsFiles(own.certificate, own.key, believed)
    visitor = former.files("visitor", world.authority.file).client()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    async with serving(ledger, files, listener):
        async with httpx.AsyncClient(verify=visitor, trust_env=False) as http:
            assert (await http.get(url)).status_code == 200
        believed.write_bytes(world.authority.file.read_bytes())
        async with httpx.AsyncClient(verify=visitor, trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(url)


async def test_resumption_a_session_is_never_taken_up_again_without_its_certificate(world: World) -> None:
    """One that was opened while its authority was believed would outlive that."""
    host, port = world.url.removeprefix("https://").split(":")

    def connected(context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        plain = socket.create_connection((host, int(port)))
        try:
            return context.wrap_socket(plain, server_hostname=host, session=session)
        except ssl.SSLError:
            plain.close()
            raise

    def resumed(context: ssl.SSLContext) -> bool:
        with connected(context) as first:
            first.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert first.recv(9) == b"HTTP/1.1 "
            kept = first.session
        with connected(context, kept) as second:
            return bool(second.session_reused)

    older = world.client.client()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert not await asyncio.to_thread(resumed, world.client.client())
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(resumed, older)


@pytest.mark.parametrize(("age", "said"), [(0.0, "close"), (300.0, None)])
async def test_a_connection_that_is_old_has_to_be_made_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, age: float, said: str | None
) -> None:
    """Kept open, it would outlive whatever became of its certificate."""
    monkeypatch.setattr(bounded_http, "TLS_AGE", age)
    async with httpx.AsyncClient(verify=world.client.client(), trust_env=False) as http:
        for _ in range(2):
            answer = await http.get(f"{world.url}/healthz")
            assert (answer.status_code, answer.headers.get("connection")) == (200, said)
