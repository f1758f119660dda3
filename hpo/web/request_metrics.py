"""The dashboard's figures for Prometheus: its requests, and the counts of the whole database."""

import time
from collections.abc import Iterator
from typing import get_args

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hpo.service.database import Database
from hpo.service.overview import counts_by_state
from hpo.spec.answer import State

BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
TRIALS = ("open", "taken", "complete", "pruned", "infeasible", "skipped")


class _Counts(Collector):
    """Read from the database when somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # nothing is read before somebody asks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        studies, trials, workers = counts_by_state(self._database)
        of_studies = GaugeMetricFamily("hpo_studies", "Studies, by state.", labels=["state"])
        for state in get_args(State):
            of_studies.add_metric([state], studies.get(state, 0))
        of_trials = GaugeMetricFamily(
            "hpo_trials",
            "Trials, by how they ended, or open or taken.",
            labels=["state"],
        )
        for state in TRIALS:
            of_trials.add_metric([state], trials.get(state, 0))
        yield of_studies
        yield of_trials
        yield GaugeMetricFamily("hpo_workers", "Workers heard of lately.", value=workers)


class RequestMetrics:
    """Counts and times requests, by route and not by path, whose number has no bound."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Counts(database))
        self._requests = Counter(
            "hpo_dashboard_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "hpo_dashboard_request_seconds",
            "Seconds until the answer was ready.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )

    def watch(self, app: Flask) -> None:
        """Count every request of the app."""

        @app.before_request
        def _begin() -> None:
            g.began_s = time.perf_counter()

        @app.after_request
        def _end(answer: Response) -> Response:
            route = request.url_rule.rule if request.url_rule else "none"
            method = request.method if request.method in ("GET", "HEAD", "POST") else "other"
            self._requests.labels(method, route, answer.status_code).inc()
            self._seconds.labels(route).observe(time.perf_counter() - g.began_s)
            return answer

    def text(self) -> bytes:
        """All figures. Raises DatabaseError."""
        return generate_latest(self._registry)
