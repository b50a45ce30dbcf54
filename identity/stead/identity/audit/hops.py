"""A trail and its hops, as they are exported: the one value of which every picture is a rendering."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from stead.identity.types import Json


class Hop(BaseModel):
    """One call that carried an operation, as both its ends told it.

    `confirmed` is False where the callee recorded no such call; `act`, `jti`, `parent_jti` and `consent_id` are None
    where the grant has none. `chain_from` is how the callee knows the actors (`token`, `receipts`, `asserted`, or
    `shortened`). Times are seconds since the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop: str
    parent: str | None
    caller: str | None
    callee: str | None
    callee_name: str | None
    operation: str | None
    resource: str | None
    grant: str | None
    iss: str | None
    sub: str | None
    name: str | None
    act: dict[str, Any] | None
    aud: str | None
    scope: str | None
    exp: int | None
    jti: str | None
    cnf: str | None = None
    parent_jti: str | None
    consent_id: str | None
    decision: str | None
    rule: str | None
    code: str | None
    description: str | None
    hint: str | None
    confirmed: bool
    started: float
    ended: float | None
    outcome: str | None
    chain_from: str | None = None

    @property
    def refused(self) -> bool:
        """True where somebody said no: no token was granted, the callee did not let it pass, or would not do it.

        A call that was let in and ended with somebody else's no further on is not itself refused.
        """
        return self.decision != "allow" or (self.outcome == "refused" and (bool(self.code) or not self.confirmed))

    @property
    def line(self) -> str:
        """What the hop is drawn as: its grant, or `refused`."""
        return "refused" if self.refused else str(self.grant)


class Trail(BaseModel):
    """The hops of one task, parents before children, else by time. `version` differs whenever more is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    version: int
    hops: tuple[Hop, ...]

    @property
    def root(self) -> Hop | None:
        """The call that began the task; None while no such call is known."""
        return self.hops[0] if self.hops else None

    def as_json(self) -> Json:
        """`{"task", "version", "hops": [...]}`, every member present."""
        return self.model_dump(mode="json")
