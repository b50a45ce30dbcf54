"""The spans of a workload: a call that arrived, a call that is made, the token for it, the decision about it.

A span has the ids that the trail has: a call's span id is its hop id. Attributes come from a closed list and are
cleaned like events of the audit; an exception's text never gets on a span, only its code. Without a tracer all of this
is one comparison.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from stead.identity.audit.event import clean
from stead.identity.errors import IdentityError
from stead.identity.telemetry import names
from stead.identity.values import Arrival, Grant, Principal

Persons = Literal["pseudonym", "subject", "none"]
Attribute = str | int | bool | Sequence[str]

next_ids: ContextVar[tuple[int | None, int | None]] = ContextVar("stead_next_ids", default=(None, None))
"""Trace and span id that the next span of this context is made with; see `stead.identity.telemetry.sdk`."""


class Spanned:
    """A span at work: current inside `with`, and ended by leaving. This one is none, for when there is no tracer."""

    __slots__ = ()

    def __enter__(self) -> "Spanned":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def told(self, **attributes: Attribute | None) -> None:
        """Adds attributes, named as in `names`; None is left out."""

    def refused(self, error: IdentityError) -> None:
        """Says with which code it failed."""

    def ended(self, error: IdentityError | None = None) -> None:
        """Ends it, for one that was never entered."""


NOTHING = Spanned()


class _Live(Spanned):
    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> Spanned:
        self._token = otel_context.attach(self.context())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if isinstance(error, IdentityError):
            self.refused(error)
        elif kind is not None and issubclass(kind, Exception):
            self._failed(kind.__name__)
        self._span.end()

    def context(self) -> Context:
        """The context in which this span is the current one."""
        return trace.set_span_in_context(self._span)

    def told(self, **attributes: Attribute | None) -> None:
        self._span.set_attributes(_kept({getattr(names, name): value for name, value in attributes.items()}))

    def refused(self, error: IdentityError) -> None:
        self._failed(error.code)

    def ended(self, error: IdentityError | None = None) -> None:
        if error is not None:
            self.refused(error)
        self._span.end()

    def _failed(self, word: str) -> None:
        self._span.set_attribute(names.ERROR, clean(word))
        self._span.set_status(Status(StatusCode.ERROR))


class Telemetry:
    """Makes the spans of one workload. Without a `tracer` it makes none.

    `persons` says how people appear: under a pseudonym by `secret` (default), as their subject, or not at all.
    """

    def __init__(self, tracer: Tracer | None, *, persons: Persons = "pseudonym", secret: bytes = b"") -> None:
        self._tracer = tracer
        self._persons = persons
        self._secret = secret

    def arrived(self, arrival: Arrival, operation: str, resource: str, principal: Principal | None = None) -> Spanned:
        """A call that came in: the child of its caller's span, which is the hop."""
        if self._tracer is None:
            return NOTHING
        attributes = {**_call(operation, resource), **self._bearer(principal)}
        return self._started(
            _title(operation, resource), _remote(arrival.trace, arrival.hop), SpanKind.SERVER, attributes
        )

    def makes(
        self,
        *,
        trace_id: str,
        hop: str,
        parent: Arrival | None,
        operation: str,
        resource: str,
        callee: str,
        grant: Grant,
    ) -> Spanned:
        """A call that goes out: its span id is the hop's. A service's own call begins a trace, as on the wire."""
        if self._tracer is None:
            return NOTHING
        attributes = {
            **_call(operation, resource),
            **_address(callee),
            names.AUDIENCE: callee,
            names.GRANT: grant.value,
        }
        above = _above(trace_id, None if grant is Grant.S2S else parent)
        with _given(int(trace_id, 16), int(hop, 16)):
            return self._started(_title(operation, resource), above, SpanKind.CLIENT, attributes)

    def within(self, title: str, of: Spanned | None = None) -> Spanned:
        """A step inside a span, by default the current one."""
        if self._tracer is None:
            return NOTHING
        above = of.context() if isinstance(of, _Live) else otel_context.get_current()
        return self._started(title, above, SpanKind.INTERNAL, {})

    def _started(
        self, title: str, above: Context, kind: SpanKind, attributes: Mapping[str, Attribute | None]
    ) -> Spanned:
        assert self._tracer is not None  # noqa: S101 - callers looked
        return _Live(self._tracer.start_span(clean(title), above, kind, _kept(attributes)))

    def _bearer(self, principal: Principal | None) -> dict[str, Attribute | None]:
        if principal is None:
            return {}
        return {
            names.GRANT: principal.grant.value,
            names.CLIENT: principal.client_id,
            names.AUDIENCE: principal.audience,
            names.SCOPES: sorted(principal.scopes),
            names.TOKEN_ID: principal.jti,
            names.BOUND: principal.confirmation is not None,
            names.ACTORS: list(principal.chain) or None,
            names.CHAIN_FROM: principal.chain_from if principal.chain else None,
            **self._person(principal),
        }

    def _person(self, principal: Principal) -> dict[str, Attribute | None]:
        if principal.is_service or self._persons == "none":
            return {}
        if self._persons == "subject":
            return {names.PERSON: principal.subject}
        return {names.PSEUDONYM: pseudonym(self._secret, principal.owner)}


OFF = Telemetry(None)


def pseudonym(secret: bytes, owner: str) -> str:
    """The same person always has the same one; who does not know `secret` cannot tell whose it is."""
    return hmac.digest(secret, owner.encode(), hashlib.sha256).hex()[:16]


def happened(event: str, **attributes: Attribute | None) -> None:
    """Notes an event on the current span, if there is one. `event` is a value of `names`, members are its constants."""
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(event, _kept({getattr(names, name): value for name, value in attributes.items()}))


def _kept(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    return {name: _clean(value) for name, value in attributes.items() if value is not None}


def _clean(value: Attribute) -> Attribute:
    if isinstance(value, str):
        return clean(value)
    return value if isinstance(value, int) else [clean(each) for each in value]


def _call(operation: str, resource: str) -> dict[str, Attribute | None]:
    place, _, name = resource.partition(".")
    if operation.startswith("tools/"):
        return {
            names.MCP_METHOD: operation,
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL: name or place,
            names.RESOURCE: resource,
        }
    return {
        names.A2A_METHOD: operation,
        names.OPERATION: names.INVOKE_AGENT,
        names.AGENT: place,
        names.RESOURCE: resource,
    }


def _title(operation: str, resource: str) -> str:
    place, _, name = resource.partition(".")
    return f"{operation} {name or place}" if operation.startswith("tools/") else f"{names.INVOKE_AGENT} {place}"


def _address(callee: str) -> dict[str, Attribute | None]:
    parts = urlsplit(callee)
    return {names.SERVER: parts.hostname, names.PORT: parts.port}


def _remote(trace_id: str, span_id: str) -> Context:
    """A context whose span is somebody else's."""
    above = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(above), otel_context.Context())


def _above(trace_id: str, parent: Arrival | None) -> Context:
    """The current span where it is of this trace; else the hop that came in, as in a workflow that wakes."""
    current = trace.get_current_span().get_span_context()
    if parent is not None and current.is_valid and current.trace_id == int(trace_id, 16):
        return otel_context.get_current()
    return otel_context.Context() if parent is None else _remote(parent.trace, parent.hop)


@contextmanager
def _given(trace_id: int, span_id: int) -> Iterator[None]:
    restore = next_ids.set((trace_id, span_id))
    try:
        yield
    finally:
        next_ids.reset(restore)
