"""`stead registry` and `stead agents`: what the broker may plan with, and who lets it in."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from stead.demo.cli.output import emit, say, table, tell
from stead.demo.cli.session import Session, administering, person_named, signed_in
from stead.identity.errors import AccessDenied, InvalidRequest, ProviderUnavailable
from stead.identity.home import Home

IDENTITY_EXTENSION = "urn:stead:a2a:identity:v1"
_EVERY_CUSTOMER = ["customer"]


def _as(username: str, work: Callable[[Session], Awaitable[Any]], *, admin: bool = False) -> Any:
    async def run() -> Any:
        home = Home.current()
        is_admin = "registry-admin" in person_named(username).roles
        if admin and not is_admin:
            raise AccessDenied(
                f"{person_named(username).name} may not change the registry.",
                hint="This needs registry:admin: --as admin.",
            )
        session = await signed_in(home, username, administering(home) if is_admin else None)
        try:
            return await work(session)
        finally:
            await session.close()

    return asyncio.run(run())


async def _listed(session: Session) -> list[dict[str, Any]]:
    document = await _call(session, "GET", session.home.network.broker, "/registry")
    entries: list[dict[str, Any]] = document["entries"]
    return entries


async def _call(session: Session, method: str, service: str, path: str, **more: Any) -> dict[str, Any]:
    try:
        reply = await session.http.request(method, f"{service}{path}", auth=session.auth(service), **more)
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"{service} cannot be reached.", hint="Does the demo run?") from error
    if reply.is_success:
        return dict(reply.json()) if reply.content else {}
    raise _refused(reply)


def _refused(reply: httpx.Response) -> AccessDenied:
    try:
        body = reply.json()
        return AccessDenied(str(body["error_description"]), hint=body.get("hint"))
    except (ValueError, KeyError, TypeError):
        return AccessDenied(f"{reply.url.host} answered {reply.status_code}.")


def entries(username: str, *, json: bool) -> None:
    """Lists all that is registered."""
    found = _as(username, _listed)
    if json:
        emit({"entries": found})
        return
    table(("name", "kind", "address", "skills and tools"), (_row(entry) for entry in found))


def _row(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    names = ", ".join(skill["id"] for skill in entry["skills"])
    return entry["name"], entry["kind"], entry["url"], names or entry.get("note") or "-"


def agents(username: str, *, json: bool) -> None:
    """Lists the agents."""
    found = [entry for entry in _as(username, _listed) if entry["kind"] == "agent"]
    if json:
        emit({"agents": found})
        return
    table(("name", "kind", "address", "skills"), (_row(entry) for entry in found))


def agent(name: str, username: str, *, json: bool) -> None:
    """Shows one entry. Raises `InvalidRequest` naming those there are."""
    found = _as(username, _listed)
    entry = next((one for one in found if one["name"] == name), None)
    if entry is None:
        names = ", ".join(one["name"] for one in found)
        raise InvalidRequest(f"The registry has no {name!r}.", hint=f"It has: {names}.")
    emit(entry) if json else _describe(entry)


def _describe(entry: dict[str, Any]) -> None:
    say(f"{entry['name']}  {entry['url']}")
    say(entry.get("description", ""))
    for skill in entry["skills"]:
        scopes = " ".join(skill.get("scopes", []))
        say(f"  {skill['id']:<24} {skill.get('grant', '?'):<8} {scopes}")
        for example in skill.get("examples", []):
            say(f"    “{example}”")


def add(url: str, username: str, *, json: bool) -> None:
    """Lets a service in: audience, scopes and edges at the authorization server, then the entry at the broker."""

    origin = _origin(url)

    async def work(session: Session) -> dict[str, Any]:
        asked = await wanted(session.http, origin)
        _tell_what_it_gets(asked)
        await _call(session, "POST", session.home.network.corporate_idp, "/admin/audiences", json=asked)
        return await _call(session, "POST", session.home.network.broker, "/registry", json={"url": origin})

    entry = _as(username, work, admin=True)
    if json:
        emit(entry)
    else:
        skills = ", ".join(skill["id"] for skill in entry.get("skills", []))
        say(f"{entry.get('name', url)} is part of the network: {skills}")


def _tell_what_it_gets(asked: dict[str, Any]) -> None:
    """What the administrator gives by adding it."""
    tell(f"{asked['client_id'] or 'Nobody known'} at {asked['audience']}")
    for scope, roles in asked["scopes"].items():
        tell(f"  gives {scope} to {' or '.join(roles) or 'services'}")
    for need in asked["needs"]:
        how = "as itself" if need.get("mode") == "s2s" else "on behalf of people"
        tell(f"  may ask {need.get('audience')} for {' '.join(need.get('scopes', []))}, {how}")


def remove(name: str, username: str, *, json: bool) -> None:
    """Takes an entry out, at the broker and at the authorization server."""

    async def work(session: Session) -> dict[str, Any]:
        entry = next((one for one in await _listed(session) if one["name"] == name), None)
        if entry is None:
            raise InvalidRequest(f"The registry has no {name!r}.", hint="`stead registry list` shows what it has.")
        await _call(session, "DELETE", session.home.network.broker, f"/registry/{name}")
        gone = {"audience": entry["url"]}
        await _call(session, "DELETE", session.home.network.corporate_idp, "/admin/audiences", params=gone)
        return entry

    entry = _as(username, work, admin=True)
    emit({"removed": entry["name"]}) if json else say(f"{entry['name']} is no longer part of the network.")


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port beyond 65535, or half an IPv6 address
        parts, host = urlsplit(""), None
    more = parts.username or parts.query or parts.fragment or parts.path not in ("", "/")
    if parts.scheme not in {"http", "https"} or not host or more:
        raise InvalidRequest(f"{url!r} is not the origin of a service.", hint="Such as http://127.0.0.32:8412.")
    return f"{parts.scheme}://{parts.netloc}".lower()


async def wanted(http: httpx.AsyncClient, origin: str) -> dict[str, Any]:
    """What a service asks for, from its card or its resource metadata, as the admin endpoint takes it."""
    card = await _document(http, f"{origin}/.well-known/agent-card.json")
    metadata = await _document(http, f"{origin}/.well-known/oauth-protected-resource")
    if metadata is None or metadata.get("resource") != origin:
        raise InvalidRequest(f"{origin} does not say whose tokens it takes.", hint="It needs RFC 9728 metadata.")
    try:
        return _asked(origin, card, metadata)
    except (AttributeError, TypeError, ValueError):
        raise InvalidRequest(f"{origin} does not describe itself in a way that can be read.") from None


def _asked(origin: str, card: dict[str, Any] | None, metadata: dict[str, Any]) -> dict[str, Any]:
    skills = _skills(card) if card is not None else dict(metadata.get("stead_tools", {}))
    if not skills:
        raise InvalidRequest(f"{origin} declares no skill and no tool.")
    listing = [] if card is not None else [{"client_id": "broker", "scopes": ["tools:list"], "mode": "s2s"}]
    return {
        "audience": origin,
        "name": str((card or {}).get("name") or metadata.get("stead_name") or metadata.get("resource_name") or origin),
        "client_id": metadata.get("stead_client_id"),
        "scopes": _scopes(skills) | ({} if card is not None else {"tools:list": []}),
        "callers": [*_callers(skills), *listing],
        "needs": list(metadata.get("stead_needs", [])),
    }


def _skills(card: dict[str, Any]) -> dict[str, Any]:
    for extension in card.get("capabilities", {}).get("extensions", []):
        if extension.get("uri") == IDENTITY_EXTENSION:
            return dict(extension.get("params", {}).get("skills", {}))
    return {}


def _mode(skill: dict[str, Any]) -> str:
    return "s2s" if skill.get("grant") == "s2s" else "obo"


def _scopes(skills: dict[str, Any]) -> dict[str, list[str]]:
    return {
        scope: _EVERY_CUSTOMER if _mode(skill) == "obo" else []
        for skill in skills.values()
        for scope in skill.get("scopes", [])
    }


def _callers(skills: dict[str, Any]) -> list[dict[str, Any]]:
    by_mode: dict[str, set[str]] = {}
    for skill in skills.values():
        by_mode.setdefault(_mode(skill), set()).update(skill.get("scopes", []))
    return [
        {"client_id": "broker", "scopes": sorted(scopes), "mode": mode} for mode, scopes in by_mode.items() if scopes
    ]


async def _document(http: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    try:
        reply = await http.get(url)
    except httpx.HTTPError:
        raise ProviderUnavailable(f"{url} cannot be reached.", hint="Is the service started?") from None
    if reply.status_code != 200:
        return None
    try:
        document: Any = reply.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
