"""Cookies reach every port of a host, so each service has a host of its own, and none sees another's session."""

from urllib.parse import urlsplit

from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import signed_in
from stead.demo.network.addresses import addresses
from tests.journeys.finport import FinPort


async def test_no_service_receives_the_cookie_of_another(finport: FinPort) -> None:
    alice = await signed_in(finport.home, "alice")
    await ask_as(alice, "Transfer 1 EUR to Bob's savings", approve=True)
    await alice.http.get(f"{finport.urls['web']}/login", follow_redirects=True)
    jar = list(alice.http.cookies.jar)
    set_by = {cookie.domain for cookie in jar}
    network = finport.home.network
    with_pages = {network.web, network.corporate_idp, network.bank_idp, network.agents["transfer"]}
    assert set_by == {urlsplit(url).hostname for url in with_pages}
    for _, url in addresses(network):
        sent = alice.http.build_request("GET", url).headers.get("cookie", "")
        own = {cookie.name for cookie in jar if cookie.domain == urlsplit(url).hostname}
        assert {pair.partition("=")[0].strip() for pair in sent.split(";") if pair} == own
    assert len({urlsplit(url).hostname for _, url in addresses(network)}) == len(dict(addresses(network)))
    await alice.close()


async def test_session_cookies_are_out_of_reach_of_scripts_and_other_sites(finport: FinPort) -> None:
    alice = await signed_in(finport.home, "alice")
    await alice.http.get(f"{finport.urls['web']}/login", follow_redirects=True)
    for cookie in alice.http.cookies.jar:
        assert cookie.has_nonstandard_attr("HttpOnly"), cookie.name
        assert cookie.get_nonstandard_attr("SameSite") in {"Lax", "lax", "Strict", "strict"}, cookie.name
        assert not cookie.domain_specified, cookie.name
    await alice.close()
