"""Every metric the product exports, in one list with a sentence each (names are part of the contract with dashboards).

Rooms below keep plain counters and call plain callbacks; only this file knows Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# name -> (kind, sentence). A service exports those that its `values()` names.
METRICS: dict[str, tuple[str, str]] = {
    "commands": ("counter", "Commands applied to the timeline"),
    "results": ("counter", "Results of attempts taken in"),
    "executions": ("counter", "Executions emitted"),
    "completions": ("counter", "Runs that reached a final outcome"),
    "dead_letters": ("counter", "Runs that used up their attempts"),
    "refused": ("counter", "Changes refused with a reason"),
    "replays": ("counter", "Records that had been applied before and changed nothing"),
    "poison": ("counter", "Undecodable records set aside with topic, partition and offset"),
    "partitions": ("gauge", "Partitions owned by this process"),
    "rows": ("gauge", "Schedules in the state of this process"),
    "overdue_ms_max": ("gauge", "Age of the oldest row that is due and not yet taken off the timeline, milliseconds"),
    "recovery_done": ("gauge", "Changelog records replayed in the running recovery"),
    "recovery_total": ("gauge", "Changelog records the running recovery has to replay"),
    "standby_copies": ("gauge", "Partitions of other engines of which this process keeps a copy"),
    "standby_behind": ("gauge", "Changelog records that those copies lacked when they were last brought forward"),
    "calls": ("counter", "Attempts that ended, of all outcomes"),
    "calls_failed": ("counter", "Attempts that failed"),
    "in_flight": ("gauge", "Calls in flight"),
    "breakers_open": ("gauge", "Hosts that are not called just now, because they failed again and again"),
    "breakers_opened": ("counter", "Times that a host's circuit opened"),
    "calls_put_off": ("counter", "Attempts that were not made, because the host's circuit was open"),
    "held": ("gauge", "Executions held for their due instant"),
    "repeats_dropped": ("counter", "Executions dropped because the same run and attempt was seen before"),
    "stale_epochs_dropped": ("counter", "Executions dropped because a newer owner has spoken for the partition"),
    "written": ("counter", "Records written into the history"),
    "history_failures": ("counter", "Writes that the history store refused or timed out; each is tried again"),
    "history_up": ("gauge", "1 while the history store takes writes"),
    "accepted": ("counter", "Schedules and changes taken from the inbox"),
    "expected_overdue": ("gauge", "Schedules that should have run and did not, as the watchdog sees it"),
    "expected_unanswered": ("gauge", "Attempts that were emitted and have no result in time, as the watchdog sees it"),
    "expected_overdue_ms_max": ("gauge", "Age of the oldest instant that the engine let pass, milliseconds"),
    "watchdog_lag_ms": ("gauge", "How long ago the watchdog had read all there was, milliseconds"),
    "watchdog_read": ("counter", "Records that the watchdog has read"),
    "watchdog_unreadable": ("counter", "Records that the watchdog could not read"),
    "watchdog_notices": ("counter", "Notices of overdue schedules, of their ends too"),
    "requests": ("counter", "REST calls answered"),
    "requests_failed": ("counter", "REST calls answered with a status of 500 and above"),
}
LATENESS_BUCKETS_S = (0.0, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, float("inf"))

Values = Callable[[], Mapping[str, float]]


class Metrics:
    """One registry per process; `values` is read at each scrape."""

    def __init__(self, service: str, values: Values) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._values = values
        self._lateness = Histogram(
            "squirrel_lateness_seconds",
            "From the due instant to the start of the first attempt",
            buckets=LATENESS_BUCKETS_S,
            registry=self.registry,
        )
        up = Gauge("squirrel_up", "1 while the service runs", ["service"], registry=self.registry)
        up.labels(service).set(1)
        self.registry.register(self)

    def observe_lateness_ms(self, lateness_ms: int) -> None:
        """One first attempt started this long after its due instant."""
        self._lateness.observe(lateness_ms / 1000)

    def collect(self) -> Iterable[Metric]:
        """Called by Prometheus' registry at each scrape."""
        for name, value in self._values().items():
            kind, sentence = METRICS[name]
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            metric = family(f"squirrel_{name}", sentence, labels=["service"])
            metric.add_metric([self._service], value)
            yield metric

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
