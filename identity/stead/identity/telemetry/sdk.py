"""Where spans go: OpenTelemetry's SDK and its OTLP exporter, which are the extra `otel`. Imported only when asked for.

The provider is our own and not the process's, so that other libraries' spans, whose attributes nobody here has looked
at, are not exported along. The exporter reads the standard variables: `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.issuer_settings import Strict
from stead.identity.telemetry import names
from stead.identity.telemetry.tracing import OFF, Persons, Telemetry, next_ids

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator

SECRET = "telemetry-pseudonyms"  # noqa: S105  (a name)
FLUSH = 2_000
"""Milliseconds that the end of a process waits for its last spans."""


class TelemetrySettings(Strict):
    """Whether spans are exported, and how people appear on them."""

    traces: bool = False
    persons: Persons = "pseudonym"


@contextmanager
def telemetry(
    home: Home, name: str, settings: TelemetrySettings, processor: "SpanProcessor | None" = None
) -> Iterator[Telemetry]:
    """The telemetry of a workload while it is at work. Raises `ConfigurationError` when the extra is not installed.

    `processor` replaces the export by OTLP over HTTP.
    """
    if not settings.traces and processor is None:
        yield OFF
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        resource = Resource.create({names.SERVICE: name, names.NAMESPACE: "stead"})
        provider = TracerProvider(id_generator=_ids(), resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor or _exporting())
    except ImportError:
        raise ConfigurationError(
            "Telemetry is on, but OpenTelemetry's SDK is not installed.", hint="Install `stead[otel]`."
        ) from None
    tracer = provider.get_tracer(names.SCOPE, schema_url=names.SCHEMA_URL)
    try:
        yield Telemetry(tracer, persons=settings.persons, secret=home.secret(SECRET))
    finally:
        provider.force_flush(FLUSH)
        provider.shutdown()


def _exporting() -> "SpanProcessor":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


def _ids() -> "IdGenerator":
    """Ids that were made for the trail, where there are some; random ones else."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class TrailIds(RandomIdGenerator):
        def generate_span_id(self) -> int:
            return next_ids.get()[1] or super().generate_span_id()

        def generate_trace_id(self) -> int:
            return next_ids.get()[0] or super().generate_trace_id()

    return TrailIds()
