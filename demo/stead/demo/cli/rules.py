"""`stead policy show`: what each service goes by, and where each rule of it comes from."""

from collections.abc import Iterable
from datetime import UTC, datetime

from stead.demo.cli.output import emit, say, tell
from stead.identity.home import Home
from stead.identity.in_force import InForce, recorded, services_of, stale_files, started_here
from stead.identity.policy.rules import ANY, Rule
from stead.identity.types import Json


def show(service: str | None, *, json: bool) -> None:
    """The rules in force, of one service or of all. Raises `ConfigurationError` for one that never started."""
    home = Home.current()
    names = [service] if service else [name for name in sorted(services_of(home)) if started_here(home, name)]
    known = [recorded(home, name) for name in names]
    if json:
        emit([_as_json(one, stale_files(home, one.service)) for one in known])
        return
    for one in known:
        _draw(one)
        for name in stale_files(home, one.service):
            tell(f"policies/{name} has changed since: start {one.service} again.")
    if not known:
        tell("No service has started here yet.")


def _as_json(known: InForce, stale: list[str]) -> Json:
    rules = [rule.as_json() for rule in (*known.own, *known.on_top)]
    resources = list(known.resources)
    return {"service": known.service, "since": known.since, "resources": resources, "rules": rules, "stale": stale}


def _draw(known: InForce) -> None:
    since = datetime.fromtimestamp(known.since, UTC)
    say(f"{known.service}, since {since:%Y-%m-%d %H:%M} UTC")
    for resource in known.resources:
        _draw_rules(f"  {resource}", (rule for rule in (*known.own, *known.on_top) if resource in rule.resources))
    _draw_rules("  every resource", (rule for rule in (*known.own, *known.on_top) if ANY in rule.resources))


def _draw_rules(title: str, rules: Iterable[Rule]) -> None:
    for number, rule in enumerate(rules):
        if number == 0:
            say(title)
        where = f"from {rule.source}" if rule.source else "declared in code"
        params = "".join(f", {name} {value}" for name, value in rule.params.items() if name not in ("grant", "scopes"))
        say(f"    {rule.outcome.value}{params} if {rule.when}")
        say(f"      {rule.id}, {where}" + (f": {rule.reason}" if rule.reason else ""))
