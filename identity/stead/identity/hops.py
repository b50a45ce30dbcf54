"""A hop from its opening to its end: the token, the mark on the wire, and the record of both.

Knows the journal and the context of the current call; nothing of how a token is obtained or sent.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from stead.identity.audit.journal import Journal
from stead.identity.egress import OpenHop, Target, new_span, new_trace, opened
from stead.identity.errors import IdentityError
from stead.identity.telemetry import Telemetry
from stead.identity.telemetry.names import EXCHANGE_SPAN
from stead.identity.tokens import Tokens, asked_claims, recorded_claims
from stead.identity.values import AccessToken, Arrival, Grant, Principal, current_arrival, current_principal

UNAUTHORIZED, FORBIDDEN = 401, 403
_log = logging.getLogger(__name__)


Receipt = Callable[[Target, Principal | None, AccessToken], str | None]
"""Makes the receipts of a hop, where there are any."""


def _no_receipt(target: Target, caller: Principal | None, token: AccessToken) -> None:
    """None are needed where tokens say through whom."""


class Hops:
    """Opens hops for one workload, and writes down what became of them."""

    def __init__(
        self,
        journal: Journal,
        tokens: Callable[[], Tokens],
        telemetry: Callable[[], Telemetry],
        receipt: Receipt = _no_receipt,
    ) -> None:
        self._journal = journal
        self._tokens = tokens
        self._telemetry = telemetry
        self._receipt = receipt

    @asynccontextmanager
    async def hop(
        self, target: Target, *, operation: str, resource: str, task: str | None = None, rule: str | None = None
    ) -> AsyncIterator[OpenHop]:
        """See `Workload.hop`."""
        tokens, principal, parent = self._tokens(), _caller(target), current_arrival()
        span, trace = new_span(), _trace(target, parent)
        telemetry = self._telemetry()
        spanned = telemetry.makes(
            trace_id=trace,
            hop=span,
            parent=parent,
            operation=operation,
            resource=resource,
            callee=target.audience,
            grant=target.grant,
        )
        record = partial(
            self._journal.egress,
            hop=span,
            trace=trace,
            callee=target.audience,
            grant=target.grant,
            operation=operation,
            resource=resource,
            parent=parent,
            task=task,
            rule=rule,
            consent_id=target.consent_id,
        )
        with spanned:
            try:
                with telemetry.within(EXCHANGE_SPAN):
                    token = await tokens.obtain(target, principal)
            except IdentityError as refused:
                record(claims=asked_claims(target, principal, tokens.known_as(target)), error=refused)
                raise
            claims = recorded_claims(target, principal, tokens.client, token, tokens.issuer)
            entry = record(claims=claims)
            spanned.told(TASK=task, TOKEN_ID=claims.get("jti"), SCOPES=sorted(target.scopes), RULE=rule)
            if target.effects:
                await self._journal.durable(entry)
            receipts = self._receipt(target, principal, token)
            with opened(OpenHop(target.audience, token, trace, span, receipts)) as hop:
                try:
                    yield hop
                except BaseException as failure:
                    spanned.told(OUTCOME=self._ended(hop, failure))
                    raise
                spanned.told(OUTCOME=self._ended(hop, None))

    @asynccontextmanager
    async def detail(self, target: Target) -> AsyncIterator[OpenHop]:
        """See `Workload.detail`."""
        caller = _caller(target)
        token = await self._tokens().obtain(target, caller)
        receipts, trace = self._receipt(target, caller, token), _trace(target, current_arrival())
        with opened(OpenHop(target.audience, token, trace, new_span(), receipts)) as hop:
            try:
                yield hop
            finally:
                self._forget_refused(hop)

    def _ended(self, hop: OpenHop, failure: BaseException | None) -> str:
        self._forget_refused(hop)
        outcome = _outcome(hop, failure)
        error = failure if isinstance(failure, IdentityError) else None
        try:
            self._journal.outcome(hop=hop.hop_id, outcome=outcome, error=error)
        except IdentityError as lost:
            # The hop is over either way, and its own failure is what the caller must learn.
            _log.warning("the end of hop %s is not recorded: %s", hop.hop_id, lost.description)
        return outcome

    def _forget_refused(self, hop: OpenHop) -> None:
        if hop.status == UNAUTHORIZED:
            self._tokens().exchanges.forget(hop.token)


def _caller(target: Target) -> Principal | None:
    """In whose stead the hop goes. Only an OBO hop looks: a service's hop knows no person."""
    return current_principal() if target.grant is Grant.OBO else None


def _trace(target: Target, parent: Arrival | None) -> str:
    # A person's trace would tie the service's call to the person.
    return new_trace() if parent is None or target.grant is Grant.S2S else parent.trace


def _outcome(hop: OpenHop, failure: BaseException | None) -> str:
    if isinstance(failure, asyncio.CancelledError | GeneratorExit):
        return "canceled"
    if hop.ended is not None:
        return hop.ended
    if hop.status in (UNAUTHORIZED, FORBIDDEN) or _is_refusal(failure):
        return "refused"
    return "completed" if failure is None else "failed"


def _is_refusal(failure: BaseException | None) -> bool:
    return isinstance(failure, IdentityError) and failure.status in (UNAUTHORIZED, FORBIDDEN)
