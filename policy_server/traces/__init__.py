"""Traces: what a request went through, for a collector of OpenTelemetry."""
