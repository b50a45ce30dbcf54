"""A small network of real journals, driven by hand: what each part would write, without the parts."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stead.identity.audit.event import Event, unseal
from stead.identity.audit.journal import Entry, Journal
from stead.identity.errors import IdentityError
from stead.identity.values import Actor, Arrival, Grant, Principal

CORPORATE, BANK = "http://127.0.0.2:8401", "http://127.0.0.3:8402"
NOON = 1_795_608_000.0


def origin(client: str) -> str:
    """A made-up origin for a client id, always the same."""
    return f"http://127.0.0.9:{9000 + hashlib.sha256(client.encode()).digest()[0]}"


@dataclass
class Ticking:
    """A clock that moves a little with each look."""

    now: float = NOON
    step: float = 0.012

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class Call:
    """A hop that arrived: what the callee may make further hops from."""

    arrival: Arrival
    principal: Principal
    at: str


@dataclass
class Network:
    """Journals by client id, in one folder, with one clock and predictable ids."""

    folder: Path
    clock: Ticking = field(default_factory=Ticking)
    journals: dict[str, Journal] = field(default_factory=dict)
    made: int = 0

    def journal(self, client: str) -> Journal:
        if client not in self.journals:
            self.journals[client] = Journal(self.folder, client, self.clock)
        return self.journals[client]

    def fresh(self, length: int) -> str:
        self.made += 1
        return hashlib.sha256(f"id {self.made}".encode()).hexdigest()[:length]

    def token(self, grant: Grant, by: str, to: str, scope: str, person: str, actors: tuple[str, ...]) -> Principal:
        """The principal that a verified token of this kind gives."""
        service, bank = grant is Grant.S2S, grant is Grant.IN_TASK
        subject = by if service else f"nb-{person}" if bank else person
        actor = None
        for name in reversed(actors):
            actor = Actor(name, None, actor)
        claims: dict[str, Any] = {} if service or bank else {"name": f"{person.capitalize()} Moreau"}
        return Principal(
            issuer=BANK if bank else CORPORATE,
            subject=subject,
            audience=origin(to),
            client_id=by,
            scopes=frozenset(scope.split()),
            jti=self.fresh(12),
            expires_at=int(self.clock.now) + 300,
            grant=grant,
            actor=actor,
            claims=claims,
        )

    def login(self, task: str, person: str = "alice", hop: str | None = None, by: str = "finport-web") -> Call:
        """A person's call to the broker that begins a task."""
        principal = self.token(Grant.LOGIN, by, "broker", "broker:ask", person, ())
        arrival = Arrival(hop or self.fresh(16), self.fresh(32), principal.jti)
        self.send(by, "broker", arrival, principal, "broker.ask", "SendMessage", None)
        call = self.receive("broker", arrival, principal, "broker.ask", "SendMessage")
        self.journal("broker").bind(arrival.hop, task, jti=principal.jti)
        return call

    def call(
        self,
        parent: Call,
        to: str,
        grant: Grant,
        resource: str,
        scope: str,
        *,
        task: str | None = None,
        person: str = "alice",
        confirmed: bool = True,
        decision: str = "allow",
        refusal: dict[str, str] | None = None,
        outcome: str | None = "completed",
    ) -> Call:
        """A hop made for another, with its two records and its end."""
        by, operation = parent.at, "tools/call" if to.endswith("-mcp") else "SendMessage"
        actors = (by, *parent.principal.chain) if grant is Grant.OBO else ()
        principal = self.token(grant, by, to, scope, person, actors)
        trace = self.fresh(32) if grant is Grant.S2S else parent.arrival.trace
        arrival = Arrival(self.fresh(16), trace, principal.jti)
        self.send(by, to, arrival, principal, resource, operation, parent.arrival, task)
        call = Call(arrival, principal, to)
        if confirmed:
            call = self.receive(to, arrival, principal, resource, operation, decision, refusal)
        if outcome is not None:
            self.journal(by).outcome(hop=arrival.hop, outcome=outcome)
        return call

    def refused(self, parent: Call, to: str, resource: str, scope: str, error: IdentityError, person: str) -> None:
        """A hop for which no token was given."""
        claims = {
            "iss": CORPORATE,
            "sub": person,
            "name": f"{person.capitalize()} Moreau",
            "act": {"sub": parent.at},
            "aud": origin(to),
            "scope": scope,
        }
        hop = self.fresh(16)
        self.journal(parent.at).egress(
            hop=hop,
            trace=parent.arrival.trace,
            callee=origin(to),
            grant=Grant.OBO,
            operation="SendMessage",
            resource=resource,
            claims=claims,
            parent=parent.arrival,
            error=error,
        )
        self.journal(parent.at).outcome(hop=hop, outcome="refused", error=error)

    def send(
        self,
        by: str,
        to: str,
        arrival: Arrival,
        principal: Principal,
        resource: str,
        operation: str,
        parent: Arrival | None,
        task: str | None = None,
    ) -> Entry:
        claims = {
            **principal.claims,
            "iss": principal.issuer,
            "sub": principal.subject,
            "act": None if principal.actor is None else principal.actor.as_claim(),
            "aud": principal.audience,
            "scope": " ".join(sorted(principal.scopes)),
            "exp": principal.expires_at,
            "jti": principal.jti,
        }
        return self.journal(by).egress(
            hop=arrival.hop,
            trace=arrival.trace,
            callee=origin(to),
            grant=principal.grant,
            operation=operation,
            resource=resource,
            claims=claims,
            parent=parent,
            task=task,
        )

    def receive(
        self,
        at: str,
        arrival: Arrival,
        principal: Principal,
        resource: str,
        operation: str,
        decision: str = "allow",
        refusal: dict[str, str] | None = None,
    ) -> Call:
        self.journal(at).ingress(
            arrival=arrival,
            principal=principal,
            operation=operation,
            resource=resource,
            decision=decision,
            rule="owners",
            **(refusal or {}),
        )
        return Call(arrival, principal, at)

    def events(self) -> list[Event]:
        """Everything that all journals have on disk."""
        for journal in self.journals.values():
            journal.flush()
        files = sorted(self.folder.glob("*.jsonl"))
        return [unseal(line) for file in files for line in file.read_bytes().splitlines(keepends=True)]

    def close(self) -> None:
        for journal in self.journals.values():
            journal.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """An empty network."""
    folder = tmp_path / "audit"
    folder.mkdir()
    network = Network(folder)
    yield network
    network.close()


@pytest.fixture
def story() -> Callable[[Network], str]:
    """Tells the whole story in a network and returns its task: read, forecast, refused, and a transfer."""

    def tell(network: Network) -> str:
        task = "5d1c2f9e"
        root = network.login(task)
        portfolio = network.call(
            root, "portfolio-agent", Grant.OBO, "portfolio.summary", "portfolio:read", task=task, outcome=None
        )
        market = network.call(
            root, "market-data-agent", Grant.S2S, "market_data.trend", "market:read", task=task, outcome=None
        )
        network.call(portfolio, "holdings-mcp", Grant.OBO, "holdings.list_holdings", "holdings:read")
        network.call(market, "quotes-mcp", Grant.S2S, "quotes.get_history", "quotes:read")
        network.journal("broker").outcome(hop=portfolio.arrival.hop, outcome="completed")
        network.journal("broker").outcome(hop=market.arrival.hop, outcome="completed")
        transfer = network.call(
            root, "transfer-agent", Grant.OBO, "transfer.send", "transfer:create", task=task, outcome="auth-required"
        )
        network.call(transfer, "payments-mcp", Grant.IN_TASK, "payments.execute_payment", "payments")
        network.journal("finport-web").outcome(hop=root.arrival.hop, outcome="completed")
        return task

    return tell
