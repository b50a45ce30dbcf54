"""Spans for what the trail records, by OpenTelemetry: with the trail's own ids, and never with a token."""

from stead.identity.telemetry.tracing import NOTHING, OFF, Spanned, Telemetry, happened

__all__ = ["NOTHING", "OFF", "Spanned", "Telemetry", "happened"]
