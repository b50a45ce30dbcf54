"""Where a request may go when somebody else says where: an address in a document, or one that a person typed.

A document from outside must not lead a process to what only the process can reach: loopback, the private network, and
above all the link-local address at which a cloud hands out credentials (RFC 8414 s6.2, RFC 9728 s7.7). What lies beside
the configured origin is where it already goes. Knows no network: a name is not looked up. That is enough, because
another origin is reached by https only, and what stands behind a rebound name has no certificate for it.
"""

import re
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_NAMED_METADATA = frozenset({"metadata.google.internal", "metadata", "instance-data"})
_NAT64 = ip_network("64:ff9b::/96")
_SHARED = ip_network("100.64.0.0/10")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")

Address = IPv4Address | IPv6Address


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
    if name == "localhost" or name.endswith(".localhost"):
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
    """The IPv4 address within an IPv6 one: mapped, 6to4, NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _reach(address: Address) -> Reach:
    if address.is_loopback:
        return Reach.LOOPBACK
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return Reach.NEVER
    if address.is_global:
        return Reach.PUBLIC
    private = address.is_private and not address.is_reserved
    return Reach.PRIVATE if private or address in _SHARED else Reach.NEVER
