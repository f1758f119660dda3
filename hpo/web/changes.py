"""What an admin does to a study: pause, resume, stop; cancel and delete after a question."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, redirect, render_template, request
from werkzeug.exceptions import NotFound

from hpo.service import deletion, life, studies
from hpo.service.database import Database
from hpo.web.guard import refuse_viewers

Change = Callable[[Database, str], object]
CHANGES: dict[str, Change] = {
    "pause": life.pause,
    "resume": life.resume,
    "stop": life.stop,
    "cancel": life.cancel,
    "delete": deletion.delete,
}
QUESTIONS = {  # what cannot be taken back is asked about first
    "cancel": "It ends now, without a verdict. What was recorded is kept.",
    "delete": "The study goes with all its trials, networks and its answer. There is no way back.",
}


def blueprint(database: Database) -> Blueprint:
    """The paths below a study that change it."""
    pages = Blueprint("changes", __name__)

    @pages.get("/studies/<name>/<any(cancel, delete):verb>")
    def _ask(name: str, verb: str) -> Response:
        refuse_viewers()
        return _question(database, name, verb)

    @pages.post("/studies/<name>/<verb>")
    def _change(name: str, verb: str) -> Response:
        refuse_viewers()
        if verb not in CHANGES:
            raise NotFound
        wants_json = request.accept_mimetypes.best == "application/json"
        if verb in QUESTIONS and request.form.get("sure") != "yes" and not wants_json:
            return _question(database, name, verb)
        CHANGES[verb](database, name)
        if wants_json:
            return jsonify(study=name, state=studies.state(database, name) or studies.DELETED)
        return redirect("/" if verb == "delete" else f"/studies/{name}", 303)  # type: ignore[return-value]

    return pages


def _question(database: Database, name: str, verb: str) -> Response:
    found = studies.outline(database, name)
    page = render_template(
        "sure.html", name=found.name, state=found.state, verb=verb, consequence=QUESTIONS[verb]
    )
    return Response(page, mimetype="text/html")
