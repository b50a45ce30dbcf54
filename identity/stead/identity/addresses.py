"""Where a request may go when somebody else says where: an address in a document, or one that a person typed.

A document from outside must not lead a process to what only the process can reach: loopback, the private network, and
above all the link-local address at which a cloud hands out credentials (RFC 8414 s6.2, RFC 9728 s7.7). What lies beside
the configured origin is where it already goes. Knows no network: a name is not looked up. That is enough, because
another origin is reached by https only, and what stands behind a rebound name has no certificate for it.
"""

import re
import socket
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_NAMED_METADATA = frozenset({"metadata.google.internal", "metadata", "instance-data"})
_CREDENTIALS = tuple(
    # Where clouds hand out credentials at addresses that look like any: Alibaba, Azure, Oracle, AWS, Google.
    map(ip_network, ("100.100.100.200", "168.63.129.16", "192.0.0.0/24", "fd00:ec2::254", "fd20:ce::254"))
)
_EMBEDDING = tuple(map(ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
"""Prefixes before an IPv4 address: NAT64 (RFC 6052), SIIT (RFC 2765), and the old compatible ones (RFC 4291)."""
_LOCAL = tuple(map(ip_network, ("100.64.0.0/10", "64:ff9b:1::/48", "fec0::/10")))
"""Shared (RFC 6598), local NAT64 (RFC 8215), site-local (RFC 3879): private, whatever the library makes of them."""
_LOOPBACK_NAMES = frozenset({"localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"})
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Reach(IntEnum):
    """Who reaches an address: everybody, who is in the same network, the same machine, nobody who should."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    NEVER = 3


def may_lead(there: str, home: str) -> bool:
    """Whether a document at the configured URL `home` may send us to the URL `there`.

    To the same origin always; elsewhere by https only, and not to what is nearer to us than `home` is.
    """
    target, start = _parts(there), _parts(home)
    if target is None or start is None:
        return False
    if (target.scheme, _host(target), target.port) == (start.scheme, _host(start), start.port):
        return True
    return target.scheme == "https" and may_reach(_host(target), _host(start))


def may_reach(host: str, home: str) -> bool:
    """Whether the host is `home` itself, or no nearer to us than it is."""
    if host == home:
        return True
    there = reach_of(host)
    return there is not Reach.NEVER and there <= reach_of(home)


def reach_of(host: str) -> Reach:
    """Who reaches a host. A name that says nothing of it counts as public."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost") or name in _LOOPBACK_NAMES:
        return Reach.LOOPBACK
    address = _address(name)
    if address is None:
        return Reach.NEVER if name in _NAMED_METADATA or not _NAME.fullmatch(host) else Reach.PUBLIC
    return _reach(address)


def is_confidential(url: str) -> bool:
    """Whether what is sent to a URL is read by its receiver alone: https, or this machine."""
    return is_loopback(url) or url.startswith("https://")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, as far as it says so itself."""
    parts = _parts(url)
    return parts is not None and reach_of(_host(parts)) is Reach.LOOPBACK


def _parts(url: str) -> SplitResult | None:
    """An http(s) URL without user information, in ASCII and without what one parser skips and another does not."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises ValueError for a port that is none)
    except ValueError:
        return None
    odd = "@" in parts.netloc or "\\" in url or not url.isascii() or re.search(r"[\x00-\x20\x7f]", url)
    return parts if parts.scheme in ("http", "https") and parts.hostname and not odd else None


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _address(name: str) -> Address | None:
    """The address that a host is, in any form that a resolver takes: `127.1`, `0x7f000001`, `2130706433`, `0177.1`."""
    try:
        return _plain(ip_address(name))
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(name)) if re.fullmatch(r"[0-9a-fx.]+", name) else None
    except OSError:
        return None


def _plain(address: Address) -> Address:
    """The IPv4 address within an IPv6 one: mapped, 6to4, or behind one of the prefixes."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return address
    if _lies_in(address, _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _reach(address: Address) -> Reach:
    if address.is_loopback:
        return Reach.LOOPBACK
    if address.is_link_local or address.is_multicast or address.is_unspecified or _lies_in(address, _CREDENTIALS):
        return Reach.NEVER
    if _lies_in(address, _LOCAL):
        return Reach.PRIVATE
    if address.is_global:
        return Reach.PUBLIC
    return Reach.PRIVATE if address.is_private and not address.is_reserved else Reach.NEVER


def _lies_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
