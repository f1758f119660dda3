"""optuna-dashboard inside: its pages and figures for reading, with our note on every answer."""

import json
import re
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import optuna
from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from hpo.errors import UnknownStudy
from hpo.service import overview, studies
from hpo.service.database import Database
from hpo.service.shown import TrialShown, best_of_sizes, shown_trials
from hpo.spec.answer import Answer
from hpo.spec.telling import headline
from hpo.spec.words import METRICS, benchmark_name

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ROOTS = ("dashboard", "api", "static", "csv", "artifacts")  # optuna-dashboard's, at the root
BEYOND_IDS = re.compile(r"/-?\d{10,}(/|$)")  # the database would refuse them as too large
COUNT = re.compile(r"\d{1,9}", re.ASCII)
MARKUP = re.compile(r"[\\`*_\[\]<>#|~$&!]")  # of Markdown: names of columns are text
FIGURE = "error-against-size"


@dataclass
class OptunaView:
    """optuna-dashboard on the database; what it and Optuna's cache remember is kept fresh.

    Workers know nothing of optuna-dashboard: the note is written when somebody looks. It says the
    same whoever writes it, so that two who write at the same moment do no harm.
    """

    database: Database
    _app: "WSGIApplication | None" = None
    _known: frozenset[tuple[int, float]] = frozenset()
    _noted: set[tuple[str, float]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def refresh(self) -> None:
        """Forget the trials of studies that somebody has deleted: their ids may be given again."""
        found = overview.identities(self.database)
        with self._lock:
            for optuna_id, _ in self._known - found:
                self.database.forget(optuna_id)
                self._app = None  # with its own cache
            self._known = found

    def app(self) -> "WSGIApplication":
        """optuna-dashboard's own app."""
        from optuna_dashboard import wsgi

        with self._lock:
            if self._app is None:
                made = wsgi(self.database.storage)
                made.catchall = False  # mishaps become ours
                self._app = made
            return self._app

    def write_notes(self) -> None:
        """Give every answered study its note and figure, once."""
        for known in overview.done_studies(self.database):
            if known not in self._noted:
                try:
                    write_note(self.database, studies.find(self.database, known[0]))
                except UnknownStudy:  # it is being deleted
                    continue
                self._noted.add(known)


def blueprint(view: OptunaView) -> Blueprint:
    """The paths that are optuna-dashboard's, for reading alone."""
    pages = Blueprint("optuna", __name__)

    def read(**_: str) -> Response:
        after = request.args.get("after", "0")
        if BEYOND_IDS.search(request.path) or not COUNT.fullmatch(after):
            raise NotFound
        view.refresh()
        if request.path.startswith(("/dashboard", "/api/studies")):
            view.write_notes()
        environ = {"HTTP_ACCEPT_ENCODING": ""} | request.environ  # which it takes for granted
        with view.database.translated():
            made = Response.from_app(view.app(), environ, buffered=True)
        assert isinstance(made, Response)
        return made

    for root in ROOTS:
        for rule in (f"/{root}", f"/{root}/<path:below>"):
            pages.add_url_rule(rule, root, read, methods=["GET"], provide_automatic_options=False)
    return pages


def write_note(database: Database, stored: studies.Stored) -> None:
    """Write the answer where optuna-dashboard shows it, unless it is there already."""
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object

    if stored.answer is None:
        return
    with database.translated():
        study = optuna.load_study(study_name=stored.name, storage=database.storage)
        text = note(stored.answer)
        if get_note(study) == text:
            return
        trials = best_of_sizes(shown_trials(database, stored))
        save_plotly_graph_object(study, _Figure(trials, stored.answer), graph_object_id=FIGURE)
        save_note(study, text)


def note(answer: Answer) -> str:
    """The answer as Markdown."""
    head = headline(answer) if answer.cells else "no network was recommended"
    parts = [f"## {head[0].upper()}{head[1:]}", "**Why**", _items(answer.reasons)]
    if answer.warnings:
        parts += ["**Keep in mind**", _items(answer.warnings)]
    links = f"[This study](/studies/{answer.study}) · [Report](/studies/{answer.study}/report)"
    return "\n\n".join([*parts, links])


def _items(said: tuple[str, ...]) -> str:
    return "\n".join("- " + MARKUP.sub(r"\\\g<0>", one) for one in said)


class _Figure:
    """The error against the size as plotly draws it, without plotly: only its JSON is stored."""

    def __init__(self, trials: list[TrialShown], answer: Answer) -> None:
        self._trials, self._answer = trials, answer

    def to_json(self) -> str:
        return json.dumps({"data": self._lines(), "layout": self._layout()})

    def _lines(self) -> list[dict[str, Any]]:
        lines = []
        for layers in sorted({trial.layers for trial in self._trials}):
            of = [trial for trial in self._trials if trial.layers == layers]
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": f"{layers} layer{'s' * (layers > 1)}",
                    "x": [trial.cells_in_all for trial in of],
                    "y": [trial.score for trial in of],
                }
            )
        return lines

    def _layout(self) -> dict[str, Any]:
        metric, best = METRICS[self._answer.metric], self._answer.best_benchmark
        layout: dict[str, Any] = {
            "title": {"text": "Best error of each size"},
            "xaxis": {"title": {"text": "cells of all layers together"}, "type": "log"},
            "yaxis": {"title": {"text": metric}},
        }
        if best in self._answer.benchmarks:
            level = self._answer.benchmarks[best]
            layout["shapes"] = [
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level}
                | {"line": {"dash": "dash", "color": "#888"}}
            ]
            layout["annotations"] = [
                {"xref": "paper", "x": 1, "y": level, "showarrow": False, "yanchor": "bottom"}
                | {"text": benchmark_name(best)}
            ]
        return layout
