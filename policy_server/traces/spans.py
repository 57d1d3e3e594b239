"""The spans of a request, as OpenTelemetry's SDK exports them.

They are made when all is over, of what was noted: a span that is begun and ended along the way
costs each decision what all of these cost the thread that exports them.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from policy_server.traces.finished import FinishedRequest

SERVICE, NAME = "policy-server", "service.name"
SCOPE = InstrumentationScope("policy_server")
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
FAILED = 500
SPAN_BITS = 64
Attributes = Mapping[str, str | int]


def exporter(endpoint: str) -> Callable[[Sequence[ReadableSpan]], Any]:
    """What gives spans to a collector, and waits for it; further settings are the environment's."""
    export: Callable[[Sequence[ReadableSpan]], Any] = OTLPSpanExporter(endpoint=endpoint).export
    return export


class _Teller(Resource):
    """The one resource of a process.

    The library asks for its hash with each span, and would write it as JSON for that each time.
    """

    __hash__ = object.__hash__


def resource() -> Resource:
    """What tells: this process, by the name that the environment gives it."""
    given = os.environ.get(OTEL_SERVICE_NAME) or f"{NAME}=" in os.environ.get(
        OTEL_RESOURCE_ATTRIBUTES, ""
    )
    named = {} if given else {NAME: SERVICE}
    created = Resource.create({**named, "process.pid": os.getpid()})
    return _Teller(created.attributes, created.schema_url)


def spans_of(request: FinishedRequest, told_by: Resource) -> Iterator[ReadableSpan]:
    """The span of a request, and those of its stages.

    Args:
        request: That was answered.
        told_by: From `resource`.
    """
    trace = request.trace
    state = TraceState.from_header([trace.state]) if trace.state else TraceState()
    caller = SpanContext(
        int(trace.trace_id, 16), int(trace.span_id, 16), True, SAMPLED, trace_state=state
    )
    context = _beside(caller)
    stages, shift = request.stages, request.answered - request.stages.answered
    yield ReadableSpan(
        request.operation or request.method or "HTTP",
        context,
        caller,
        told_by,
        _attributes(request),
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR if request.status >= FAILED else StatusCode.UNSET),
        start_time=stages.began + shift,
        end_time=request.answered,
        instrumentation_scope=SCOPE,
    )
    for name, start, end in _stages(request):
        yield ReadableSpan(
            name,
            _beside(caller),
            context,
            told_by,
            kind=SpanKind.INTERNAL,
            start_time=start + shift,
            end_time=end + shift,
            instrumentation_scope=SCOPE,
        )


def _beside(caller: SpanContext) -> SpanContext:
    """A new span in the trace of the caller."""
    span = random.getrandbits(SPAN_BITS) or 1  # of each worker its own: see request_ids.py
    return SpanContext(caller.trace_id, span, False, SAMPLED, trace_state=caller.trace_state)


def _attributes(request: FinishedRequest) -> Attributes:
    known: dict[str, str | int] = {
        "http.request.method": request.method,
        "url.path": request.path,
        "http.response.status_code": request.status,
        "policy_server.request_id": request.request_id.decode("latin-1"),
    }
    if request.operation:
        known["policy_server.operation"] = request.operation
    if request.version:
        known["policy_server.policy"] = request.policy
        known["policy_server.version"] = request.version.decode("latin-1")
    return known


def _stages(request: FinishedRequest) -> Iterator[tuple[str, int, int]]:
    """Name, begin and end of each stage that a request came to.

    What was decided in several runs has its preprocessing and its runs told as one each.
    """
    stages = request.stages
    if stages.decoded:
        yield "decode", stages.began, stages.decoded
    if stages.taken:
        yield "wait", stages.decoded, stages.taken
        made = stages.taken + stages.preprocess
        yield "preprocess", stages.taken, made
        if stages.ran:
            yield "run", max(made, stages.ran - stages.run), stages.ran
            yield "answer", stages.ran, stages.answered
