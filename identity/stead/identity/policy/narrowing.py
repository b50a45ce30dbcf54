"""Rules of whoever runs a network, on top of what its services declare: they take away, and never give.

Files in the folder `policies` of the state directory: `NAME.yaml` for the service of that name, `network.yaml` for
every service. They are read when a service starts; one with a mistake keeps it from starting.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.identity.errors import ConfigurationError
from stead.identity.policy.conditions import Vocabulary, compile_condition
from stead.identity.policy.decision import Decision
from stead.identity.policy.engine import Policy
from stead.identity.policy.files import read_file, told_of
from stead.identity.policy.names import check_names, nearest
from stead.identity.policy.rules import ANY, Outcome, Rule
from stead.identity.policy.sentences import check_sentences
from stead.identity.policy.wording import Worded
from stead.identity.values import Principal

NETWORK = "network"
"""The name of the file whose rules hold in every service."""
_SILENCE = Rule("nothing-narrows", (ANY,), Outcome.ALLOW)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What the service's own policy says, or the rules on top of it where they are stricter."""

    own: Policy
    on_top: Policy

    @property
    def added(self) -> tuple[Rule, ...]:
        """The rules on top."""
        return tuple(rule for rule in self.on_top.rules if rule is not _SILENCE)

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        """The stricter of both answers; the service's own where they are as strict as each other."""
        own = self.own.decide(principal, resource, action, input, now)
        if own.outcome is Outcome.DENY:
            return own
        on_top = self.on_top.decide(principal, resource, action, input, now)
        return on_top if on_top.outcome.strength > own.outcome.strength else own


def narrowed(
    policy: Policy,
    name: str,
    folder: Path,
    services: Collection[str] | None = None,
    claims: Collection[str] | None = None,
) -> "Policy | Narrowed":
    """The policy of the service `name` under the files of `folder`; the same policy where there are none for it.

    `services` are all that there are: a file that is called after none of them, nor after this one, is a mistake.
    `claims` are all that tokens can have. Raises `ConfigurationError`.
    """
    known = Vocabulary(policy.resources, claims, policy.inputs)
    files = policy_files(folder, None if services is None else {*services, name})
    return laid_on(
        policy, [rule for one in (NETWORK, name) if one in files for rule in read_narrowing(files[one], known)]
    )


def laid_on(policy: Policy, rules: Collection[Rule]) -> "Policy | Narrowed":
    """The policy with these rules on top; the same policy where there are none."""
    return Narrowed(policy, Worded([_SILENCE, *rules])) if rules else policy


def policy_files(folder: Path, services: Collection[str] | None = None) -> Mapping[str, Path]:
    """The files by name. One that nothing would ever read is refused: whoever wrote it believes that it holds.

    Raises `ConfigurationError`, with the nearest name where `services` says which there are.
    """
    paths = [path for path in sorted(folder.glob("*")) if not path.name.startswith(".")]
    for path in paths:
        if path.suffix != ".yaml" or not path.is_file():
            raise ConfigurationError(f"No service reads {path}.", hint="Name it after the service: NAME.yaml.")
        if services is not None and path.stem not in (NETWORK, *services):
            raise ConfigurationError(
                f"No service reads {path}: there is none called {path.stem}.", hint=nearest(path.stem, services)
            )
    return {path.stem: path for path in paths}


def read_narrowing(path: Path, vocabulary: Vocabulary) -> list[Rule]:
    """The rules of one file of the folder, for a service that has these names.

    Raises `ConfigurationError` that names the file and the rule.
    """
    rules = read_file(path, f"{path.parent.name}/{path.name}")
    with told_of(path):
        for rule in rules:
            _check(rule, path.stem == NETWORK, vocabulary)
    return rules


def _check(rule: Rule, is_everywhere: bool, vocabulary: Vocabulary) -> None:
    """A rule of every service names no resource of one, and knows no service's input."""
    named = () if is_everywhere else vocabulary.resources
    if named is not None:
        check_names("resource", rule.resources, {ANY, *named}, rule.id)
    if rule.outcome is Outcome.ALLOW:
        raise ConfigurationError(
            f"Rule {rule.id} allows, and a rule on top of what a service declares only takes away.",
            hint="Deny what should not be allowed. What is allowed at all is declared in the service.",
        )
    known = Vocabulary(claims=vocabulary.claims) if is_everywhere else vocabulary
    compile_condition(rule, known)
    check_sentences(rule, known)
