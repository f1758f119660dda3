"""The pages that list: all studies, all workers; and what all pages are drawn with."""

from pathlib import Path

from flask import Blueprint, Response, render_template, request, send_from_directory

from hpo.service.database import Database
from hpo.service.overview import all_studies, all_workers

STUDIES_A_PAGE, MOST_PAGES = 50, 100_000
ASSETS = Path(__file__).parent / "assets"


def blueprint(database: Database) -> Blueprint:
    """The paths of these pages."""
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def _studies() -> Response:
        page = min(max(request.args.get("page", 1, int), 1), MOST_PAGES)
        skip = (page - 1) * STUDIES_A_PAGE
        rows = all_studies(database, most=STUDIES_A_PAGE + 1, skip=skip)
        shown, has_more = rows[:STUDIES_A_PAGE], len(rows) > STUDIES_A_PAGE
        return _page("studies.html", rows=shown, page=page, has_more=has_more)

    @pages.get("/workers")
    def _workers() -> Response:
        return _page("workers.html", rows=all_workers(database))

    @pages.get("/assets/<path:name>")
    def _asset(name: str) -> Response:
        return send_from_directory(ASSETS, name, max_age=3600)

    @pages.get("/favicon.ico")
    def _icon() -> Response:
        return send_from_directory(ASSETS, "icon.svg", max_age=3600)

    return pages


def _page(template: str, **values: object) -> Response:
    return Response(render_template(template, **values), mimetype="text/html")
