"""Every Prometheus metric there is, declared in one place; `health` serves them on `/metrics`.

What a library counts for itself (the bus) comes in as a dataclass of integers, so that it need not know Prometheus.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_PROCESS: Final = CollectorRegistry()
ProcessCollector(registry=_PROCESS)

SUBPROCESS_SECONDS: Final = Histogram(
    "modelyard_subprocess_seconds",
    "How long confined subprocesses ran, by module and by how they ended.",
    ("module", "outcome"),
    registry=_PROCESS,
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600),
)


class ServiceMetrics:
    """The metrics of one service; several services may share a process. `stats`: dataclasses of integers by prefix."""

    def __init__(self, service: str, stats: Mapping[str, Any]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Stats(service, stats))
        ready = Gauge("modelyard_check", "1 when the check passed.", ("service", "check"), registry=self._registry)
        self._ready, self._service = ready, service

    def checked(self, check: str, passed: bool) -> None:
        self._ready.labels(self._service, check).set(passed)

    def render(self) -> bytes:
        """Prometheus text format 0.0.4, with the metrics of the process at the end."""
        return generate_latest(self._registry) + generate_latest(_PROCESS)


class _Stats(Collector):
    def __init__(self, service: str, stats: Mapping[str, Any]) -> None:
        if wrong := [prefix for prefix, counts in stats.items() if not is_dataclass(counts)]:
            raise TypeError(f"stats must be dataclasses of integers: {', '.join(wrong)}")
        self._service = service
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        for prefix, counts in self._stats.items():
            for name, value in asdict(counts).items():
                family = CounterMetricFamily(f"modelyard_{prefix}_{name}", f"{prefix}: {name}", labels=("service",))
                family.add_metric((self._service,), value)
                yield family
