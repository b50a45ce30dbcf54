"""An A2A agent as its card describes it (A2A 1.0 s8), read strictly. The SDK's card ends here."""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
from a2a.types import AgentCard, AgentSkill
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH
from pydantic import ValidationError

from stead.broker.errors import NotRegistrable
from stead.broker.plans import Provider
from stead.broker.registry.entries import Entry, Skill, Status
from stead.broker.registry.schemas import plain_schema
from stead.broker.structs import read_into, to_json
from stead.identity.bounded_answers import PLAIN, is_encoded
from stead.identity.values import Grant

IDENTITY_EXTENSION = "urn:stead:a2a:identity:v1"
IN_TASK_EXTENSION = "urn:stead:a2a:in-task:v1"
MAX_DOCUMENT = 1_000_000
_SECONDS = 5.0


async def read_card(url: str, http: httpx.AsyncClient) -> dict[str, Any] | None:
    """The card at the origin `url`, or None when there is none. Raises `httpx.HTTPError`, `NotRegistrable`."""
    return await fetch_object(f"{url}{AGENT_CARD_WELL_KNOWN_PATH}", http)


async def fetch_object(url: str, http: httpx.AsyncClient) -> dict[str, Any] | None:
    """The JSON object at `url`, or None when nothing is there. Bounded; follows no redirect."""
    async with http.stream("GET", url, headers=PLAIN, timeout=_SECONDS, follow_redirects=False) as response:
        if response.status_code == 404:
            return None
        response.raise_for_status()
        if is_encoded(response.headers):
            raise NotRegistrable(f"The document at {url} is encoded.", hint="Send it as it is.")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_DOCUMENT:
                raise NotRegistrable(f"The document at {url} is larger than a megabyte.")
    return _object(bytes(body), url)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise NotRegistrable(f"The document at {url} is not JSON.") from None
    if not isinstance(document, dict):
        raise NotRegistrable(f"The document at {url} is not a JSON object.")
    return document


def agent_entry(name: str, url: str, document: Mapping[str, Any]) -> Entry:
    """The entry that a card makes. Raises `NotRegistrable` when the card is not one, or leads to another origin."""
    try:
        card = read_into(AgentCard(), document)
        identities = _identities(card)
        skills = tuple(_skill(skill, identities.get(skill.id, {})) for skill in card.skills)
    except (ValidationError, ValueError, TypeError, AttributeError):
        raise NotRegistrable(f"The card at {url} is not a valid A2A 1.0 agent card.") from None
    return Entry(
        name=name,
        kind="agent",
        url=url,
        title=card.name[:200],
        description=card.description[:2000],
        endpoint=_endpoint(card, url),
        skills=skills,
        pushes=card.capabilities.push_notifications,
        status=Status.READY,
    )


def slug(title: str) -> str:
    """A name for an agent that nobody named: "Hello Agent" becomes "hello_agent"."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:60] or "agent"


def _endpoint(card: AgentCard, url: str) -> str:
    """Where the agent is called. An audience is the card's origin, so another origin's endpoint is refused."""
    for interface in card.supported_interfaces:
        if interface.protocol_binding == "JSONRPC" and interface.protocol_version.startswith("1."):
            if httpx.URL(interface.url).copy_with(path="/", query=None, fragment=None) != httpx.URL(f"{url}/"):
                raise NotRegistrable(f"The card at {url} leads to another origin, {interface.url[:200]}.")
            return str(interface.url)
    raise NotRegistrable(f"The agent at {url} does not speak A2A 1.0 over JSON-RPC.")


def _identities(card: AgentCard) -> Mapping[str, Mapping[str, Any]]:
    """What the identity extension says of each skill."""
    for extension in card.capabilities.extensions:
        if extension.uri == IDENTITY_EXTENSION:
            skills = to_json(extension.params).get("skills", {})
            return skills if isinstance(skills, dict) else {}
    return {}


def _skill(skill: AgentSkill, identity: Mapping[str, Any]) -> Skill:
    provider = identity.get("provider")
    return Skill(
        id=skill.id,
        name=skill.name[:200],
        description=skill.description[:2000],
        tags=tuple(tag[:60] for tag in skill.tags[:20]),
        examples=tuple(example[:300] for example in skill.examples[:20]),
        grant=Grant(identity.get("grant", Grant.S2S)),
        scopes=tuple(identity.get("scopes", ())),
        effects=bool(identity.get("effects", False)),
        provider=None if provider is None else Provider(issuer=provider["issuer"], name=provider["name"]),
        input_schema=plain_schema(identity.get("input_schema", {})),
        output_schema=plain_schema(identity.get("output_schema", {})),
    )
