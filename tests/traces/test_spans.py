"""What a collector is told is what OpenTelemetry's SDK would tell of the same spans, bit by bit."""

import itertools
import os
import random
from collections.abc import Iterator, Mapping

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from policy_server.serving.stages import Stages
from policy_server.traces.context import TraceParent
from policy_server.traces.finished import FinishedRequest
from policy_server.traces.spans import SCOPE, message_of, teller

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ANSWERED = 1_790_000_000_000_000_000
"""In nanoseconds since 1970; by the clock of stages that was 2,000."""
STAGES = {
    "decode": (1_000, 1_100),
    "wait": (1_100, 1_300),
    "preprocess": (1_300, 1_310),
    "run": (1_500, 1_800),
    "answer": (1_800, 2_000),
}


def request(status: int, marks: Mapping[str, int], state: str = "") -> FinishedRequest:
    stages = Stages()
    stages.began, stages.answered = 1_000, 2_000
    for name, value in marks.items():
        setattr(stages, name, value)
    trace, version = TraceParent(TRACE, CALLER, True, state), b"1-0a1b2c3d" if marks else b""
    operation, method = ("predict", "POST") if status != 404 else ("", "PUT")
    told = (status, version, b"na\xefve", stages, ANSWERED, "default")
    return FinishedRequest(trace, method, "/api/predict", operation, *told)


def attributes(told: FinishedRequest) -> dict[str, str | int]:
    known: dict[str, str | int] = {
        "http.request.method": told.method,
        "url.path": told.path,
        "policy_server.request_id": "naïve",
    }
    if told.operation:
        known["policy_server.operation"] = told.operation
    if told.version:
        known |= {"policy_server.policy": "default", "policy_server.version": "1-0a1b2c3d"}
    return known | {"http.response.status_code": told.status}


def sdk_spans(
    told: FinishedRequest, stages: tuple[str, ...], of: Resource
) -> Iterator[ReadableSpan]:
    """The spans as the SDK has them, with the ids that chance gives."""
    sampled, state = TraceFlags(TraceFlags.SAMPLED), TraceState.from_header([told.trace.state])
    trace = int(TRACE, 16)

    def beside() -> SpanContext:
        return SpanContext(trace, random.getrandbits(64), False, sampled, state)

    caller, own = SpanContext(trace, int(CALLER, 16), True, sampled, state), beside()
    failed = StatusCode.ERROR if told.status >= 500 else StatusCode.UNSET
    yield ReadableSpan(
        *(told.operation or told.method, own, caller, of, attributes(told)),
        kind=SpanKind.SERVER,
        status=Status(failed),
        start_time=ANSWERED - 1_000,
        end_time=ANSWERED,
        instrumentation_scope=SCOPE,
    )
    for name in stages:
        start, end = STAGES[name]
        yield ReadableSpan(
            *(name, beside(), own, of),
            kind=SpanKind.INTERNAL,
            start_time=ANSWERED - 2_000 + start,
            end_time=ANSWERED - 2_000 + end,
            instrumentation_scope=SCOPE,
        )


DECODED = {"decoded": 1_100}
TAKEN = {**DECODED, "taken": 1_300, "preprocess": 10}
DECIDED = {**TAKEN, "run": 300, "ran": 1_800, "rows": 1}
CASES = (
    (request(200, DECIDED), tuple(STAGES)),
    (request(500, TAKEN), ("decode", "wait", "preprocess")),
    (request(400, DECODED), ("decode",)),
    (request(404, {}), ()),
    (request(200, DECIDED, "vendor=1,other=a b"), tuple(STAGES)),
)


def test_spans_are_those_that_the_sdk_would_tell() -> None:
    random.seed(3)
    found = ExportTraceServiceRequest.FromString(message_of([each for each, _ in CASES], teller()))
    random.seed(3)
    resource = Resource.create({"service.name": "policy-server", "process.pid": os.getpid()})
    spans = itertools.chain.from_iterable(sdk_spans(each, names, resource) for each, names in CASES)
    assert found == encode_spans([*spans])
