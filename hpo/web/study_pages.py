"""The pages of one study: itself, what has changed since a reader last looked, its report."""

from flask import Blueprint, Response, jsonify, render_template, request

from hpo.service.database import Database
from hpo.web.guard import REPORT_POLICY, may_change
from hpo.web.kept_reports import KeptReports
from hpo.web.optuna_view import OptunaView
from hpo.web.study_view import StudyView, study_view

TRIALS_SHOWN = 100
PARTS = ("state", "progress", "answer", "curve", "workers", "actions")


def blueprint(database: Database, view: OptunaView) -> Blueprint:
    """The paths of these pages."""
    pages, reports = Blueprint("study", __name__), KeptReports(database)

    def look(name: str) -> StudyView:
        view.refresh()
        return study_view(database, name)

    @pages.get("/studies/<name>")
    def _study(name: str) -> Response:
        found = look(name)
        shows_all = request.args.get("trials") == "all"
        shown = found.trials if shows_all else found.trials[-TRIALS_SHOWN:]
        page = render_template("study.html", study=found, trials=shown[::-1])
        return Response(page, mimetype="text/html")

    @pages.get("/studies/<name>/now")
    def _now(name: str) -> Response:
        found = look(name)
        since = request.args.get("since", 0, int)
        return jsonify(
            study=found.name,
            state=found.state,
            has_ended=found.has_ended,
            trials=found.progress.trials.model_dump()
            | {"running": found.progress.running, "waiting": found.progress.waiting},
            best=found.best.score if found.best else None,
            mark=found.mark,
            parts={part: _part(part, study=found) for part in PARTS},
            rows={t.number: _part("trial", t=t) for t in found.trials[max(since, 0) :]},
        )

    @pages.get("/studies/<name>/report")
    def _report(name: str) -> Response:
        view.refresh()
        answer = Response(reports.report_of(name), mimetype="text/html")
        answer.headers["Content-Security-Policy"] = REPORT_POLICY
        return answer

    return pages


def _part(name: str, **values: object) -> str:
    return render_template(f"parts/{name}.html", may_change=may_change(), **values)
