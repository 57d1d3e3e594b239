"""What `/metrics` answers: the text of OpenMetrics, or the older one of Prometheus."""

import itertools
import re
from collections.abc import Iterator

from policy_server.metrics.catalogue import METRICS, Metric
from policy_server.metrics.layout import Key
from policy_server.metrics.totals import Totals

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
UNWANTED = re.compile(r"q=0(\.0*)?")
"""How a client says that it does not take a form."""
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def media_type(accept: str) -> str:
    """The form that a client wants: OpenMetrics where it knows that, else the older one."""
    for choice in accept.lower().split(","):
        name, *parameters = (part.strip() for part in choice.split(";"))
        if name == "application/openmetrics-text" and not any(map(UNWANTED.fullmatch, parameters)):
            return OPEN_METRICS
    return PROMETHEUS


def render(totals: Totals, form: str) -> bytes:
    """All metrics in one of the two forms."""
    is_open = form == OPEN_METRICS
    lines = [line for metric in METRICS for line in _family(metric, totals, is_open=is_open)]
    return "\n".join([*lines, "# EOF\n" if is_open else ""]).encode()


def _family(metric: Metric, totals: Totals, *, is_open: bool) -> Iterator[str]:
    is_counter = metric.type == "counter"
    sample = f"{metric.name}_total" if is_counter else metric.name
    family = metric.name if is_open else sample
    yield f"# HELP {family} {metric.help.translate(ESCAPES) if is_open else metric.help}"
    yield f"# TYPE {family} {metric.type}"
    if is_open and metric.unit:
        yield f"# UNIT {family} {metric.unit}"
    if metric.type == "histogram":
        for key in sorted(key for key in totals.histograms if key[0] == metric.name):
            yield from _histogram(metric, key, totals.histograms[key])
    else:
        for key in sorted(key for key in totals.values if key[0] == metric.name):
            yield f"{sample}{_labels(metric, key)} {_number(totals.values[key], metric)}"


def _histogram(metric: Metric, key: Key, cells: list[int]) -> Iterator[str]:
    buckets = len(metric.bounds) + 1
    counts = list(itertools.accumulate(cells[:buckets]))
    bounds = [*(_bound(bound, metric) for bound in metric.bounds), "+Inf"]
    for bound, count in zip(bounds, counts, strict=True):
        yield f"{metric.name}_bucket{_labels(metric, key, le=bound)} {count}"
    yield f"{metric.name}_sum{_labels(metric, key)} {_number(cells[-1], metric)}"
    yield f"{metric.name}_count{_labels(metric, key)} {counts[-1]}"


def _bound(bound: int, metric: Metric) -> str:
    return repr(float(bound / metric.scale))


def _number(value: int, metric: Metric) -> str:
    return str(value) if metric.scale == 1 else repr(value / metric.scale)


def _labels(metric: Metric, key: Key, **more: str) -> str:
    pairs = [*zip(metric.labels, key[1:], strict=True), *more.items()]
    text = ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in pairs)
    return f"{{{text}}}" if text else ""
