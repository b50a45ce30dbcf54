"""Where a document from outside may lead us, and where it may not: server-side request forgery, by name."""

import pytest

from stead.identity.addresses import Reach, is_loopback, may_lead, may_reach, reach_of

PUBLIC = "https://idp.example"

METADATA = ["169.254.169.254", "169.254.170.2", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518",
            "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "fe80::1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
            "metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data", "0.0.0.0", "0", "::",
            "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "", "100.100.100.200", "168.63.129.16",
            "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "::a9fe:a9fe", "::ffff:0:a9fe:a9fe"]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.255.255.254", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
            "017700000001", "127.0.0.1.", "localhost", "LOCALHOST", "a.localhost", "localhost.", "::1",
            "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "0:0:0:0:0:0:0:1", "::127.0.0.1",
            "::ffff:0:7f00:1", "localhost.localdomain", "localhost6", "ip6-localhost"]  # fmt: skip
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "10.1", "0xa000001", "167772161", "100.64.0.1",
           "100.100.100.201", "fd00::1", "fd00:ec2::253", "::ffff:10.0.0.1", "2002:a00:1::1", "::10.0.0.1",
           "64:ff9b:1::808:808", "fec0::1"]  # fmt: skip
OPEN = ["93.184.216.34", "idp.example", "a-b.example.com.", "2606:4700::1111", "::ffff:93.184.216.34", "8.8.8.8"]


@pytest.mark.parametrize(
    ("reach", "hosts"),
    [(Reach.NEVER, METADATA), (Reach.LOOPBACK, LOOPBACK), (Reach.PRIVATE, PRIVATE), (Reach.PUBLIC, OPEN)],
    ids=["metadata", "loopback", "private", "public"],
)
def test_every_spelling_of_an_address_is_seen_through(reach: Reach, hosts: list[str]) -> None:
    assert {host: reach_of(host) for host in hosts} == dict.fromkeys(hosts, reach)


@pytest.mark.parametrize("host", [*METADATA, *LOOPBACK, *PRIVATE])
def test_a_public_issuer_leads_to_nothing_that_is_near_to_us(host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    for scheme in ("http", "https"):
        assert not may_lead(f"{scheme}://{shown}/jwks", PUBLIC)
        assert not may_lead(f"{scheme}://{shown}:8443/jwks", PUBLIC)


@pytest.mark.parametrize(
    "url",
    ["http://keys.example/", "http://idp.example/", "ftp://idp.example/", "file:///etc/passwd", "gopher://idp.example/",
     "https://user@keys.example/", "https://idp.example@169.254.169.254/", "https://idp.example\\@127.0.0.1/",
     "https://127.0.0.1#@idp.example/", "https://keys.example/\r\nHost: x", "https://keys example/", "//idp.example/",
     "https://", "https:///jwks", "https://keys.example:99999/", "https://[::1/", "https://ｉｄｐ.example/",
     "https://127。0。0。1/", "https://①27.0.0.1/", "https://xn--/\0", "javascript:alert(1)", "", "https://a..b/"],
)  # fmt: skip
def test_a_public_issuer_leads_to_https_only_and_to_nothing_that_two_parsers_read_differently(url: str) -> None:
    assert not may_lead(url, PUBLIC)


def test_a_public_issuer_leads_to_itself_and_to_other_public_places() -> None:
    for url in (
        "https://idp.example/jwks",
        "https://keys.example/jwks",
        "https://keys.example:8443/",
        "https://1.1.1.1/",
    ):
        assert may_lead(url, PUBLIC)


def test_an_issuer_on_loopback_leads_to_its_own_plain_origin_and_by_https_elsewhere() -> None:
    home = "http://127.0.0.2:9001"
    assert may_lead("http://127.0.0.2:9001/jwks", home)
    assert may_lead("https://127.0.0.3/jwks", home)
    assert may_lead("https://10.0.0.1/jwks", home)
    for url in ("http://127.0.0.2:9002/", "http://127.0.0.3:9001/", "https://169.254.169.254/", "http://10.0.0.1/"):
        assert not may_lead(url, home)


def test_an_issuer_in_a_private_network_leads_within_it_and_not_to_loopback() -> None:
    home = "https://10.0.0.5"
    assert may_lead("https://10.0.0.6/jwks", home)
    assert not may_lead("https://127.0.0.1/jwks", home)
    assert not may_lead("https://169.254.169.254/", home)


def test_what_is_configured_may_lie_anywhere() -> None:
    for host in ("169.254.1.1", "10.0.0.1", "127.0.0.1", "idp.internal"):
        assert may_reach(host, host)
        assert may_lead(f"https://{host}/jwks", f"https://{host}")


def test_only_what_says_so_is_on_this_machine() -> None:
    assert is_loopback("http://127.0.0.5:8400")
    assert is_loopback("http://[::1]:8400/x")
    for url in (
        "http://10.0.0.1",
        "http://idp.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "x",
    ):
        assert not is_loopback(url)
