"""A challenge on its way through the broker: looked at, and passed on untouched or not at all.

The link must lie at a registered agent, the subject must be the task's owner, the provider the one that the registry
has for the skill, and the digest must fit: else somebody else's question would be put to this person.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stead.broker.executor.errands import Errand
from stead.broker.executor.replies import Reply, failed
from stead.broker.registry import Registry
from stead.identity.challenge import Challenge
from stead.identity.errors import InvalidRequest


def checked(reply: Reply, errand: Errand, registry: Registry) -> Reply:
    """`reply`, or a failure when it carries a challenge that must not be put to the person."""
    if reply.state != "parked":
        return reply
    if not reply.challenges:
        return reply
    for challenge in reply.challenges:
        why = _objection(challenge, errand, registry)
        if why is not None:
            return failed("invalid_challenge", f"{errand.step.agent} asks for an approval that is not in order: {why}.")
    return reply


def _objection(wire: Mapping[str, Any], errand: Errand, registry: Registry) -> str | None:
    try:
        challenge = Challenge.from_json(wire)
    except InvalidRequest as error:
        return error.description.rstrip(".")
    parts = urlsplit(challenge.link)
    if f"{parts.scheme}://{parts.netloc}" not in {entry.url for entry in registry.entries() if entry.kind == "agent"}:
        return "its link leads to no registered agent"
    if f"{challenge.subject_issuer}|{challenge.subject}" != errand.owner:
        return "it is for somebody else"
    provider = errand.step.identity.in_task
    if provider is None or challenge.provider.issuer != provider.issuer:
        return "its provider is not the one of this skill"
    return None
