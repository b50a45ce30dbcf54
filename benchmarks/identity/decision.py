"""A policy's answer by number of rules, with Cedar (parsed beforehand) asked the same beside it.

The rule looks at the time, so that it is evaluated at each call; one that looks at the caller alone is settled once.
"""

import time
from dataclasses import replace

import cedarpy

from benchmarks.identity.tokens import SCOPE, token, verifier
from benchmarks.measure import Effort, progress, report, side_by_side
from stead.identity.policy import Policy, Rule, declared
from stead.identity.values import AccessToken, Grant

ISSUER, AUDIENCE, RESOURCE = "http://127.0.0.2:9001", "http://127.0.0.5:9002", "portfolio.summary"
SIZES = (1, 10, 100, 1_000)
SETTLED = f'principal.grant == "obo" && "{SCOPE}" in principal.scopes'
EVALUATED = f"{SETTLED} && now > 0"
_QUESTION = {
    "principal": 'Person::"alice"',
    "action": 'Action::"SendMessage"',
    "resource": f'Skill::"{RESOURCE}"',
    "context": {"grant": "obo", "scopes": [SCOPE]},
}


async def run(effort: Effort) -> None:
    """1 to 1,000 rules."""
    for size in SIZES:
        progress(f"policy decision among {size:,} rules")
        await _decision(effort, size)


async def _decision(effort: Effort, size: int) -> None:
    principal = await verifier(ISSUER, AUDIENCE).verify(AccessToken(token(ISSUER, AUDIENCE)))
    policy = Policy(_rules(size, EVALUATED))
    policies, entities = cedarpy.PolicySet.from_str(_cedar(size)), cedarpy.Entities.from_json_str("[]")
    settled = Policy(_rules(size, SETTLED))
    assert policy.decide(principal, RESOURCE, "SendMessage", {}, time.time()).allowed
    assert cedarpy.is_authorized(_QUESTION, policies, entities).allowed

    async def ours() -> None:
        policy.decide(principal, RESOURCE, "SendMessage", {}, time.time())

    async def cedar() -> None:
        cedarpy.is_authorized(_QUESTION, policies, entities)

    async def remembered() -> None:
        settled.decide(principal, RESOURCE, "SendMessage", {}, time.time())

    ours_us, cedar_us, settled_us = await side_by_side(effort, 300, ours, cedar, remembered)
    report(f"identity.policy.rules_{size}", ours_us, "us", at_most=20 if size == max(SIZES) else None)
    report(f"identity.policy.cedar_{size}", cedar_us, "us")
    report(f"identity.policy.rules_{size}_settled", settled_us, "us")


def _rules(size: int, when: str) -> list[Rule]:
    others = (declared(f"other.skill{number}", Grant.OBO, [SCOPE]) for number in range(size - 1))
    return [replace(declared(RESOURCE, Grant.OBO, [SCOPE]), when=when), *others]


def _cedar(size: int) -> str:
    """The same rights in Cedar's words."""
    resources = [RESOURCE, *(f"other.skill{number}" for number in range(size - 1))]
    return "\n".join(
        f'permit (principal, action, resource == Skill::"{resource}") '
        f'when {{ context.grant == "obo" && context.scopes.contains("{SCOPE}") }};'
        for resource in resources
    )
