"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The counters of one service; two services in a process do not share any.

    >>> metrics = Metrics()
    >>> metrics.errors.labels("busy").inc()
    >>> 'cse_errors_total{code="busy"} 1.0' in metrics.text().decode()
    True
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "cse_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "cse_request_seconds", "From a request's first byte to its answer's last one.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.errors = Counter(
            "cse_errors", "Requests and jobs that failed, by code.", ["code"], registry=registry
        )
        self.work_seconds = Histogram(
            "cse_work_seconds",
            "Reading and extracting, without waiting.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.audio_seconds = Counter(
            "cse_audio_seconds", "Seconds of recordings extracted from.", registry=registry
        )
        self.abstained = Counter(
            "cse_abstained", "Extractions whose choice is not to be relied on.", registry=registry
        )
        self.waiting = Gauge("cse_waiting", "Requests and jobs that wait for a worker.", registry=registry)
        self.held_bytes = Gauge("cse_held_bytes", "Bodies and results in memory.", registry=registry)
        self.jobs = Gauge("cse_jobs", "Jobs that are kept, finished ones included.", registry=registry)
        self.busy = Gauge("cse_workers_busy", "Workers at work.", ["role"], registry=registry)
        self.streams = Gauge("cse_streams", "WebSockets that are worked on.", registry=registry)
        self.stream_seconds = Counter("cse_stream_seconds", "Seconds of sound on streams.", registry=registry)
        self.restarts = Counter(
            "cse_worker_restarts", "Workers that ended and were replaced.", ["role"], registry=registry
        )

    def text(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(self._registry)
