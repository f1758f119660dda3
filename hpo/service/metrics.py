"""What a worker has done and how it is, counted from its events, for Prometheus to fetch."""

import time
from collections.abc import Callable
from functools import singledispatchmethod
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    start_http_server,
)

from hpo import events
from hpo.errors import UsageError

HOST = "127.0.0.1"
OUTCOMES = ("complete", "pruned", "infeasible")
CLAIM_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

COUNTERS = {
    "hpo_worker_networks_total": "Networks (one trial, fold and seed) trained to their end.",
    "hpo_worker_training_seconds_total": "Seconds of training, of all trained networks together.",
    "hpo_worker_claims_total": "Slots claimed: trials, and benchmarks and verdicts of studies.",
    "hpo_worker_takeovers_total": "Slots taken over from workers that lost them.",
    "hpo_worker_leases_lost_total": "Slots lost by silence for longer than a lease lasts.",
    "hpo_worker_refusals_total": "Studies refused: other data, another spec or version.",
    "hpo_worker_checkpoints_total": "States of networks in training stored in the database.",
    "hpo_worker_child_deaths_total": "Training processes that died or had to be ended.",
    "hpo_worker_errors_total": "Unexpected errors; their tracebacks are stored with the study.",
    "hpo_worker_database_away_seconds_total": "Seconds without the database, told when it is back.",
}
GAUGES = {
    "hpo_worker_database_away": "1 while the database does not answer, else 0.",
    "hpo_worker_up_since_seconds": "When the worker started, in seconds since 1970.",
    "hpo_worker_last_beat_seconds": "When the database last heard it beat, in seconds since 1970.",
}


class Metrics:
    """One worker's metrics: `hear` its events, `beat` with it, `serve` them over HTTP."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._server: tuple[WSGIServer, Thread] | None = None
        self._registry = at = CollectorRegistry()
        self._counters = {name: Counter(name, text, registry=at) for name, text in COUNTERS.items()}
        self._gauges = {name: Gauge(name, text, registry=at) for name, text in GAUGES.items()}
        self._info = Info("hpo_worker", "Which worker this is.", registry=at)
        self._trials = Counter(
            "hpo_worker_trials_total", "Trials ended, by outcome.", ["outcome"], registry=at
        )
        for outcome in OUTCOMES:  # from zero on, so that the first one is an increase
            self._trials.labels(outcome)
        self._claim_seconds = Histogram(
            "hpo_worker_claim_seconds",
            "Seconds that one claim, of one or more slots, took.",
            buckets=CLAIM_BUCKETS_S,
            registry=at,
        )

    def serve(self, port: int) -> None:
        """Answer on this port of this machine alone, until `close`; 0: not at all.

        Raises UsageError when the port cannot be had.
        """
        if port == 0:
            return
        try:
            self._server = start_http_server(port, addr=HOST, registry=self._registry)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"metrics cannot be served on port {port}: {error}",
                where=HOST,
                remedy="choose a free port with --metrics-port or HPO_METRICS_PORT, 0 for none",
            ) from error

    def close(self) -> None:
        """Give the port back."""
        if self._server is not None:
            server, thread = self._server
            self._server = None
            server.shutdown()
            thread.join()
            server.server_close()

    def beat(self, at_s: float) -> None:
        """The database heard the worker at this time, in seconds since 1970."""
        self._gauges["hpo_worker_last_beat_seconds"].set(at_s)

    @singledispatchmethod
    def hear(self, event: events.Event) -> None:
        """Count what the event tells; of most kinds, nothing."""

    @hear.register
    def _(self, event: events.WorkerStarted) -> None:
        self._info.info({"worker": event.worker, "version": version("hpo")})
        self._gauges["hpo_worker_up_since_seconds"].set(self._clock())

    @hear.register
    def _(self, _event: events.DatabaseWentAway) -> None:
        self._gauges["hpo_worker_database_away"].set(1)

    @hear.register
    def _(self, event: events.DatabaseCameBack) -> None:
        self._gauges["hpo_worker_database_away"].set(0)
        self._counters["hpo_worker_database_away_seconds_total"].inc(event.after_s)

    @hear.register
    def _(self, event: events.TrialsTaken) -> None:
        self._counters["hpo_worker_claims_total"].inc(len(event.slots))
        self._claim_seconds.observe(event.claim_s)

    @hear.register
    def _(self, event: events.TrialEnded) -> None:
        self._trials.labels(event.outcome).inc()

    @hear.register
    def _(self, event: events.NetworksTrained) -> None:
        self._counters["hpo_worker_networks_total"].inc(event.count)
        self._counters["hpo_worker_training_seconds_total"].inc(event.training_s)

    @hear.register
    def _(self, event: events.LeaseLost) -> None:
        self._counters["hpo_worker_leases_lost_total"].inc(len(event.slots))

    @hear.register
    def _(self, _event: events.TrialTakenOver) -> None:
        self._counters["hpo_worker_takeovers_total"].inc()

    @hear.register
    def _(self, _event: events.StudyRefused) -> None:
        self._counters["hpo_worker_refusals_total"].inc()

    @hear.register
    def _(self, _event: events.TrainingCheckpointed) -> None:
        self._counters["hpo_worker_checkpoints_total"].inc()

    @hear.register
    def _(self, _event: events.ChildDied) -> None:
        self._counters["hpo_worker_child_deaths_total"].inc()

    @hear.register
    def _(self, _event: events.UnexpectedError) -> None:
        self._counters["hpo_worker_errors_total"].inc()
