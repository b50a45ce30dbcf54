"""Rules of whoever runs a network, on top of what its services declare: they take away, and never give.

Files in the folder `policies` of the state directory: `NAME.yaml` for the service of that name, `network.yaml` for
every service. They are read when a service starts; one with a mistake keeps it from starting.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.identity.errors import ConfigurationError
from stead.identity.policy.decision import Decides, Decision
from stead.identity.policy.engine import Policy
from stead.identity.policy.rules import ANY, Outcome, Rule, check_names, read_rules
from stead.identity.values import Principal

NETWORK = "network"
"""The name of the file whose rules hold in every service."""
_SILENCE = Rule("nothing-narrows", (ANY,), Outcome.ALLOW)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What the service's own policy says, or the rules on top of it where they are stricter."""

    own: Decides
    on_top: Policy

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        """The stricter of both answers; the service's own where they are as strict as each other."""
        own = self.own.decide(principal, resource, action, input, now)
        if own.outcome is Outcome.DENY:
            return own
        on_top = self.on_top.decide(principal, resource, action, input, now)
        return on_top if on_top.outcome.strength > own.outcome.strength else own


def narrowed(policy: Policy, name: str, folder: Path) -> Decides:
    """The policy of the service `name` under the files of `folder`; the same policy where there are none for it.

    Raises `ConfigurationError`.
    """
    files = _files(folder)
    everywhere = _read(files.get(NETWORK), [ANY])
    here = _read(files.get(name), [ANY, *policy.resources])
    if not everywhere and not here:
        return policy
    return Narrowed(policy, Policy([_SILENCE, *everywhere, *here]))


def _files(folder: Path) -> Mapping[str, Path]:
    """The files by name. One that nothing would ever read is refused: whoever wrote it believes that it holds."""
    paths = [path for path in sorted(folder.glob("*")) if not path.name.startswith(".")]
    for path in paths:
        if path.suffix != ".yaml" or not path.is_file():
            raise ConfigurationError(f"No service reads {path}.", hint="Name it after the service: NAME.yaml.")
    return {path.stem: path for path in paths}


def _read(path: Path | None, resources: Collection[str]) -> list[Rule]:
    if path is None:
        return []
    try:
        rules = read_rules(path.read_text(encoding="utf-8"))
        _check(rules, resources)
        Policy(rules)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.description}", hint=error.hint, debug=error.debug) from None
    except (OSError, UnicodeError):
        raise ConfigurationError(f"{path} cannot be read.", hint="It is UTF-8 text, readable by the service.") from None
    return rules


def _check(rules: Iterable[Rule], resources: Collection[str]) -> None:
    for rule in rules:
        check_names("resource", rule.resources, resources, rule.id)
        if rule.outcome is Outcome.ALLOW:
            raise ConfigurationError(
                f"Rule {rule.id} allows, and a rule on top of what a service declares only takes away.",
                hint="Deny what should not be allowed. What is allowed at all is declared in the service.",
            )
