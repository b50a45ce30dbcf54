"""A token travels by https, or within this machine: a downgrade is refused before anybody is asked for one."""

from typing import Any

import pytest

from stead.identity.egress import Target
from stead.identity.errors import AccessDenied
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Grant, acting_for
from stead.identity.workload import Workload

IN_CLEAR = ["http://portfolio.example", "http://10.0.0.5:8400", "http://192.168.0.1", "http://portfolio:8400",
            "http://127.0.0.1.evil.example", "http://1270.0.0.1", "HTTP://portfolio.example"]  # fmt: skip


def opened(home: Home, issuer: str, **settings: Any) -> Workload:
    return Workload.open("broker", url="http://127.0.0.1:1", home=home, issuer=issuer, settings=Settings(**settings))


@pytest.mark.parametrize("audience", IN_CLEAR)
@pytest.mark.parametrize("grant", list(Grant))
async def test_no_token_is_asked_for_or_sent_in_the_clear(
    workload: Workload, issuer: Any, audience: str, grant: Grant
) -> None:
    credential = AccessToken("canary") if grant in (Grant.LOGIN, Grant.IN_TASK) else None
    target = Target(audience, ("portfolio:read",), grant, credential=credential)
    with acting_for(issuer.principal(), None), pytest.raises(AccessDenied, match="plain http") as refused:
        async with workload.hop(target, operation="SendMessage", resource="portfolio.summary"):
            pass
    assert "plain_http" in str(refused.value.hint)
    assert (issuer.forms, issuer.discovered) == ([], 0)


async def test_https_needs_no_leave(workload: Workload, issuer: Any) -> None:
    with acting_for(issuer.principal(), None):
        async with workload.detail(Target("https://portfolio.example", ("x",), Grant.OBO)):
            assert issuer.forms[0]["resource"] == "https://portfolio.example"


async def test_where_the_network_itself_encrypts_it_may_be_allowed(home: Home, issuer: Any) -> None:
    workload, target = opened(home, issuer.url, plain_http=True), Target("http://portfolio:8400", ("x",), Grant.S2S)
    async with workload, workload.detail(target):
        assert issuer.forms[0]["resource"] == "http://portfolio:8400"


async def test_an_issuer_in_the_clear_is_never_shown_a_token(home: Home, issuer: Any) -> None:
    async with opened(home, "http://idp.example") as workload:
        with acting_for(issuer.principal(), None), pytest.raises(AccessDenied, match=r"idp\.example over plain http"):
            async with workload.detail(Target("https://portfolio.example", ("x",), Grant.OBO)):
                pass
