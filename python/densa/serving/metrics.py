"""Counts of a service as Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

__all__ = ["BUCKETS", "CONTENT_TYPE", "ModelMetrics", "exposition"]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
# Upper ends of the latencies' buckets, in seconds.
BUCKETS = (
    *(50e-6, 100e-6, 250e-6, 500e-6),
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)


class ModelMetrics:
    """What happened to one version of a model; the event loop's thread alone writes it."""

    __slots__ = ("buckets", "errors", "labels", "requests", "rows", "runs", "seconds")

    def __init__(self, model: str, version: str) -> None:
        self.labels = f'model="{_escaped(model)}",version="{_escaped(version)}"'
        self.requests = 0
        self.rows = 0
        self.runs = 0
        self.errors: dict[int, int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def answered(self, rows: int, seconds: float) -> None:
        """Counts a request that was answered: `seconds` after its body was there."""
        self.requests += 1
        self.rows += rows
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def failed(self, status: int) -> None:
        """Counts a request that ended in an error."""
        self.requests += 1
        self.errors[status] = self.errors.get(status, 0) + 1


def exposition(models: Sequence[ModelMetrics], elsewhere: ModelMetrics, ready: bool) -> bytes:
    """The page that Prometheus reads; `elsewhere` has the errors of requests to no model."""
    lines: list[str] = []

    def family(name: str, kind: str, text: str, samples: Iterable[str]) -> None:
        name = f"densa_serving_{name}"
        lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}"))
        lines.extend(name + sample for sample in samples)

    family("ready", "gauge", "1 while requests are taken.", [f" {int(ready)}"])
    counts = (
        ("requests", "Inference requests, failed ones too."),
        ("rows", "Rows of answered requests."),
        ("runs", "Calls of the predictor."),
    )
    for name, text in counts:
        samples = [f"{{{m.labels}}} {getattr(m, name)}" for m in models]
        family(f"{name}_total", "counter", text, samples)
    errors = [
        f'{{{m.labels},code="{status}"}} {n}'
        for m in (*models, elsewhere)
        for status, n in m.errors.items()
    ]
    family("errors_total", "counter", "Failed requests by HTTP status.", errors)
    latencies = [sample for m in models for sample in _histogram(m)]
    text = "From the whole request's arrival to its answer, without errors."
    family("request_seconds", "histogram", text, latencies)
    return ("\n".join(lines) + "\n").encode()


def _histogram(m: ModelMetrics) -> Iterable[str]:
    below = 0
    for end, count in zip((*map(repr, BUCKETS), "+Inf"), m.buckets, strict=True):
        below += count
        yield f'_bucket{{{m.labels},le="{end}"}} {below}'
    yield f"_sum{{{m.labels}}} {m.seconds!r}"
    yield f"_count{{{m.labels}}} {below}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
