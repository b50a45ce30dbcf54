"""`stead policy serve`: a policy as a decision point for others."""

from pathlib import Path

from stead.demo.cli.output import tell
from stead.demo.network.providers import DECISIONS
from stead.identity import Workload
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.policy import Policy, Worded
from stead.identity.policy.files import read_file, told_of
from stead.identity.policy.service import ASK, ASKING, decision_service, describe
from stead.identity.serving import serve_at
from stead.identity.settings import Settings
from stead.identity.types import ASGIApp


def serve(file: Path, url: str | None, *, public: bool) -> None:
    """Serves until a signal ends it. Raises `ConfigurationError` for a policy with a mistake, or without an address."""
    home = Home.current()
    settings = Settings.load(home)
    where = url or (settings.decision_point.url if settings.decision_point else None)
    if where is None:
        raise ConfigurationError("Nothing says where to serve.", hint="Say --url, or set decision_point.url.")
    policy = _policy(file)
    tell(f"Decisions by {file.name} at {where}, for who has the scope {ASK}")
    serve_at(where, lambda: _app(policy, where, home), public=public, how=settings.transport(DECISIONS))


def _app(policy: Policy, url: str, home: Home) -> ASGIApp:
    workload = Workload.open(DECISIONS, url=url, home=home)
    service = decision_service(policy, url, workload.clock)
    return workload.protect(service, describe=describe, policy=ASKING, scopes=[ASK], protocol="http")


def _policy(file: Path) -> Policy:
    rules = read_file(file)
    with told_of(file):
        return Worded(rules)
