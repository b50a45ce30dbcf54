"""All checks, in the order in which they are made, each with where it is written."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from stead.demo.conformance import answers, attacks, waiting
from stead.demo.conformance.errors import Fault, Refusal
from stead.demo.conformance.report import Finding
from stead.demo.conformance.trial import Check, Trial
from stead.identity.errors import IdentityError, InvalidRequest


@dataclass(frozen=True, slots=True)
class Named:
    """A check with its name and its place in a specification."""

    name: str
    check: Check
    spec: str


CHECKS = (
    Named("park", waiting.park, "A2A 1.0 s7.6, s4.6; RFC 9396 s2"),
    Named("get", waiting.get, "A2A 1.0 s3.1.3, s7.6"),
    Named("subscribe", waiting.subscribe, "A2A 1.0 s3.1.6, s7.6"),
    Named("cancel", waiting.cancel, "A2A 1.0 s3.1.5"),
    Named("approve", answers.approve, "A2A 1.0 s7.6"),
    Named("deny", answers.deny, "A2A 1.0 s7.6; RFC 6749 s4.1.2.1"),
    Named("expire", waiting.expire, "A2A 1.0 s7.6.4"),
    Named("replay", attacks.replay, "A2A 1.0 s7.6.4; RFC 6749 s4.1.2, s10.12"),
    Named("wrong-user", attacks.wrong_user, "A2A 1.0 s7.6.4; RFC 9700 s4.7"),
    Named("tampered", attacks.tampered, "A2A 1.0 s7.6.4; RFC 9396 s2"),
    Named("no-token", attacks.no_token, "A2A 1.0 s7.6; RFC 9700 s4.3"),
)


def chosen(names: Iterable[str]) -> tuple[Named, ...]:
    """The checks of these names, or all. Raises `InvalidRequest` for one that there is not."""
    wanted = frozenset(names)
    known = {one.name for one in CHECKS}
    if unknown := sorted(wanted - known):
        raise InvalidRequest(f"There is no check {unknown[0]!r}.", hint=f"There are: {', '.join(sorted(known))}.")
    return tuple(one for one in CHECKS if not wanted or one.name in wanted)


async def made(trial: Trial, checks: Iterable[Named]) -> AsyncGenerator[Finding, None]:
    """Makes the checks, one after the other."""
    for one in checks:
        yield await _made(trial, one)


async def _made(trial: Trial, one: Named) -> Finding:
    try:
        return Finding(one.name, True, await one.check(trial), one.spec)
    except Fault as fault:
        why = str(fault)
    except Refusal as refusal:
        why = f"the agent refused the owner: {refusal}"
    except IdentityError as error:
        why = error.description
    return Finding(one.name, False, why, one.spec)
