"""`stead doctor`: what is wrong with a network, how to mend it, and how soon a revoked token stops, issuer by issuer.

Every finding comes from looking: at files, at addresses, at what issuers publish. Nothing is changed.
"""

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from stead.demo.cli.certs import days_left
from stead.demo.cli.findings import Finding
from stead.demo.cli.output import emit, say
from stead.demo.cli.revoking import revocation
from stead.demo.cli.vault import looked_at
from stead.demo.network.addresses import addresses
from stead.identity.clock import SKEW, system_clock
from stead.identity.driver import bare_client, drive
from stead.identity.errors import IdentityError
from stead.identity.flows.discovery import Metadata, discover, fetch_keys
from stead.identity.home import Home, Network
from stead.identity.in_force import check_files, services_of, stale_files
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.jwks import algorithms_of, load_keys
from stead.identity.policy.cases import read_cases, try_cases
from stead.identity.settings import Settings

_SOON = 14
"""Days before its end from which a certificate is named as one to renew."""

_GRANTS = {
    "rfc8693": "urn:ietf:params:oauth:grant-type:token-exchange",
    "entra": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "id-jag": "urn:ietf:params:oauth:grant-type:jwt-bearer",
}


def examine(*, json: bool) -> int:
    """Looks at everything. 0 where all is well, else 1."""
    findings = asyncio.run(_examined(Home.current()))
    if json:
        emit({"findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            say(f"{'ok ' if one.good else 'BAD'}  {one.what}: {one.told}" + (f"  → {one.hint}" if one.hint else ""))
    return 0 if all(one.good for one in findings) else 1


async def _examined(home: Home) -> list[Finding]:
    findings = [*_files(home)]
    try:
        settings, network = Settings.load(home), home.network
        believed = settings.believed()
    except IdentityError as error:
        return [*findings, Finding("settings and addresses", False, error.description, error.hint)]
    findings.append(Finding("settings and addresses", True, "readable"))
    findings += [*_policies(home), *_certificates(settings)]
    findings += await asyncio.to_thread(lambda: list(looked_at(home, settings.vault)))
    async with bare_client(5, believed) as http:
        findings += [one async for one in _services(http, settings, network)]
        for described in _issuers(settings, network):
            findings += await _issuer(http, described, network.web)
    return findings


def _files(home: Home) -> Iterator[Finding]:
    if not home.path.exists():
        yield Finding("state directory", False, f"{home.path} is not there", "Start the network once: stead demo")
        return
    kept = [each for name in ("keys", "secrets", "tls") for each in sorted((home.path / name).glob("*"))]
    for path in (home.path, *kept):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            others = f"others may read it ({mode:o})"
            yield Finding(str(path.relative_to(home.path.parent)), False, others, f"chmod go-rwx {path}")
    yield _writable(home.path / "audit")


def _policies(home: Home) -> Iterator[Finding]:
    try:
        files = check_files(home)
    except IdentityError as error:
        yield Finding("policies", False, error.description, error.hint)
        return
    yield Finding("policies", True, f"in order: {', '.join(files)}" if files else "no rules besides the services' own")
    for name in files:
        yield from _untrue_cases(home.policies / f"{name}.yaml")
    for service in sorted(services_of(home)):
        for name in stale_files(home, service):
            yield Finding(f"policies/{name}", False, f"{service} goes by an older one", f"Start {service} again.")


def _certificates(settings: Settings) -> Iterator[Finding]:
    for path, days in days_left(settings).items():
        told = "is no certificate, or not there" if days is None else f"good for {max(days, 0):.0f} days"
        good = days is not None and days > _SOON
        yield Finding(str(path), good, told, None if good else "Renew it; `stead certs` does for its own.")


def _untrue_cases(path: Path) -> Iterator[Finding]:
    """Only what a file says of itself and does not hold: one without tests is no mistake."""
    try:
        failed = try_cases(*read_cases(path.read_text(encoding="utf-8"))).failed
    except IdentityError as error:
        yield Finding(f"policies/{path.name}", False, error.description, error.hint)
        return
    for one in failed:
        wanted = f"its test {one.case.name!r} wants {one.case.outcome}, and gets {one.outcome}"
        yield Finding(f"policies/{path.name}", False, wanted, f"stead policy test {path}")


def _writable(folder: Path) -> Finding:
    probe = folder / ".doctor"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding("audit", False, str(error.strerror), "Nothing with effects is done that cannot be recorded.")
    return Finding("audit", True, "can be written")


async def _services(http: httpx.AsyncClient, settings: Settings, network: Network) -> AsyncIterator[Finding]:
    replaced = {"corporate_idp": settings.issuer, "bank_idp": settings.bank}
    for place, url in addresses(network):
        if replaced.get(place) not in (None, url):
            continue
        try:
            ready = (await http.get(f"{url}/readyz")).status_code == 200
        except httpx.HTTPError:
            yield Finding(place, False, f"nobody answers at {url}", "Start it: stead demo, or stead serve")
        else:
            hint = None if ready else "Look at its log."
            yield Finding(place, ready, f"{'ready' if ready else 'not ready'} at {url}", hint)


def _issuers(settings: Settings, network: Network) -> list[IssuerSettings]:
    """Every issuer that somebody of the network trusts or asks."""
    own, bank = settings.issuer or network.corporate_idp, settings.bank or network.bank_idp
    names = dict.fromkeys((own, *(each.issuer for each in settings.issuers), bank))
    return [settings.described(name) for name in names]


async def _issuer(http: httpx.AsyncClient, described: IssuerSettings, web: str) -> list[Finding]:
    name = described.issuer
    try:
        metadata = await drive(discover(name), http)
        keys = load_keys(await drive(fetch_keys(metadata), http))
    except IdentityError as error:
        return [Finding(name, False, error.description, error.hint)]
    usable = [key for key in keys.values() if algorithms_of(key) & set(described.algorithms)]
    algorithms = ", ".join(described.algorithms)
    return [
        Finding(
            name, bool(usable), f"{len(usable)} of {len(keys)} keys sign with {algorithms}", _fitting(bool(usable))
        ),
        _dialect(metadata, described),
        await _clock(http, metadata),
        *[one async for one in revocation(http, metadata, described, web)],
    ]


def _fitting(usable: bool) -> str | None:
    return None if usable else "Set `algorithms` of this issuer to what it signs with."


def _dialect(metadata: Metadata, described: IssuerSettings) -> Finding:
    grant, offered = _GRANTS[described.dialect], metadata.document.get("grant_types_supported")
    what = f"{described.issuer}, on behalf of people"
    if not isinstance(offered, list):
        return Finding(what, True, f"it does not say whether it knows {described.dialect}")
    known = grant in offered
    if not known and described.dialect == "rfc8693" and "authorization_code" in offered and len(offered) < 3:
        return Finding(what, True, "people sign in there and approve; nothing is exchanged")
    return Finding(
        what, known, f"{described.dialect} is {'' if known else 'not '}offered", None if known else "Set `dialect`."
    )


async def _clock(http: httpx.AsyncClient, metadata: Metadata) -> Finding:
    what = f"{metadata.issuer}, clock"
    try:
        said = (await http.get(metadata.endpoint("jwks_uri"))).headers["date"]
        off = parsedate_to_datetime(said).timestamp() - system_clock()
    except (httpx.HTTPError, KeyError, ValueError):
        return Finding(what, True, "it does not say what time it has")
    good = abs(off) <= SKEW
    return Finding(
        what, good, f"{off:+.0f} s from ours", None if good else "Set the clocks: tokens seem early or late."
    )
