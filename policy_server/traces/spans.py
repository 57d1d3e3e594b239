"""The spans of requests, as OpenTelemetry's own classes of its protocol write them.

They are made when all is over, of what was noted: a span that is begun and ended along the way
costs each decision what all of these cost the thread that exports them. The SDK's spans, and what
writes these down, would take six times as long again; its resource and its HTTP are used.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from opentelemetry.exporter.otlp.common.http import _OTLPHTTPClient
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceState

from policy_server.traces.finished import FinishedRequest

SERVICE, NAME = "policy-server", "service.name"
SCOPE = InstrumentationScope("policy_server")
FAILED = 500
SPAN_BYTES = 8
LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
REMOTE = LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
"""Where the parent of a span is: in this process, or in the caller's."""
UNSET, ERROR = Status(), Status(code=Status.STATUS_CODE_ERROR)

AddSpan = Callable[..., Span]


def exporter(endpoint: str) -> Callable[[bytes], bool]:
    """What gives a message to a collector, waits for it, and says whether it was taken.

    Further settings are the environment's. What the SDK's exporter sends messages by takes them as
    they are written, its own method takes the SDK's spans alone.
    """
    client: _OTLPHTTPClient = OTLPSpanExporter(endpoint=endpoint)._client
    return lambda message: client.export(message).success


def teller() -> ExportTraceServiceRequest:
    """A message without spans: what tells, this process, by the name that the environment gives."""
    given = os.environ.get(OTEL_SERVICE_NAME) or f"{NAME}=" in os.environ.get(
        OTEL_RESOURCE_ATTRIBUTES, ""
    )
    named = {} if given else {NAME: SERVICE}
    resource = Resource.create({**named, "process.pid": os.getpid()})
    example = ReadableSpan(
        "", SpanContext(1, 1, False), resource=resource, instrumentation_scope=SCOPE
    )
    message = encode_spans([example])
    del message.resource_spans[0].scope_spans[0].spans[:]
    return message


def message_of(requests: Sequence[FinishedRequest], told_by: ExportTraceServiceRequest) -> bytes:
    """The message that tells a collector of requests: a span of each, and those of its stages.

    Args:
        requests: That were answered.
        told_by: From `teller`.
    """
    message = ExportTraceServiceRequest()
    message.CopyFrom(told_by)
    add: AddSpan = message.resource_spans[0].scope_spans[0].spans.add
    for request in requests:
        _add_spans(request, add)
    written: bytes = message.SerializeToString()
    return written


def _add_spans(request: FinishedRequest, add: AddSpan) -> None:
    trace = request.trace
    same: dict[str, Any] = {"trace_id": bytes.fromhex(trace.trace_id)}
    if trace.state:
        same["trace_state"] = _state(trace.state)
    stages, shift = request.stages, request.answered - request.stages.answered
    own = _new_id()
    whole = add(
        **same,
        span_id=own,
        parent_span_id=bytes.fromhex(trace.span_id),
        name=request.operation or request.method or "HTTP",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=stages.began + shift,
        end_time_unix_nano=request.answered,
        status=ERROR if request.status >= FAILED else UNSET,
        flags=REMOTE,
    )
    for key, value in _attributes(request):
        whole.attributes.add(key=key).value.string_value = value
    whole.attributes.add(key="http.response.status_code").value.int_value = request.status
    for name, start, end in _stages(request):
        add(
            **same,
            span_id=_new_id(),
            parent_span_id=own,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start + shift,
            end_time_unix_nano=end + shift,
            status=UNSET,
            flags=LOCAL,
        )


def _new_id() -> bytes:
    """The id of a span; of each worker its own: see request_ids.py."""
    return (random.getrandbits(8 * SPAN_BYTES) or 1).to_bytes(SPAN_BYTES)


def _state(text: str) -> str:
    """What others want to be told again, as far as it is sound."""
    return ",".join(f"{key}={value}" for key, value in TraceState.from_header([text]).items())


def _attributes(request: FinishedRequest) -> Iterator[tuple[str, str]]:
    yield "http.request.method", request.method
    yield "url.path", request.path
    yield "policy_server.request_id", request.request_id.decode("latin-1")
    if request.operation:
        yield "policy_server.operation", request.operation
    if request.version:
        yield "policy_server.policy", request.policy
        yield "policy_server.version", request.version.decode("latin-1")


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
