"""What machines ask: is the process alive, does the database answer, what are the figures."""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from hpo.errors import DatabaseError
from hpo.service.database import Database
from hpo.service.overview import look_at_one
from hpo.web.request_metrics import RequestMetrics


def blueprint(database: Database, metrics: RequestMetrics) -> Blueprint:
    """/healthz and /readyz, which tell nothing else, and /metrics."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def _alive() -> Response:
        return Response("alive\n", mimetype="text/plain")

    @pages.get("/readyz")
    def _ready() -> Response:
        try:
            look_at_one(database)
        except DatabaseError:
            return Response("the database does not answer\n", status=503, mimetype="text/plain")
        return Response("ready\n", mimetype="text/plain")

    @pages.get("/metrics")
    def _metrics() -> Response:
        return Response(metrics.text(), content_type=CONTENT_TYPE_LATEST)

    return pages
