"""The dashboard as one WSGI app: its parts put together, and its errors in our words."""

import traceback
from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from hpo.data.question import Question
from hpo.errors import (
    DatabaseError,
    DataError,
    HpoError,
    StudyConflict,
    StudyFailed,
    UnknownStudy,
    UsageError,
)
from hpo.service.database import Database
from hpo.web import changes, health, new_study, optuna_view, pages, sign_in, study_pages
from hpo.web.guard import Guard, may_change
from hpo.web.request_metrics import RequestMetrics
from hpo.web.uploads import MOST_BYTES, Uploads
from hpo.web.wording import FILTERS

MOST_BYTES_OF_A_FORM = 2**16
STATUSES: list[tuple[type[HpoError], HTTPStatus]] = [
    (UnknownStudy, HTTPStatus.NOT_FOUND),
    (StudyConflict, HTTPStatus.CONFLICT),
    (StudyFailed, HTTPStatus.CONFLICT),
    (UsageError, HTTPStatus.CONFLICT),
    (DataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DatabaseError, HTTPStatus.SERVICE_UNAVAILABLE),
]
SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is no such page.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This may be read here, not changed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        f"An upload has at most {MOST_BYTES >> 20} MiB, every other request"
        f" {MOST_BYTES_OF_A_FORM >> 10} KiB."
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong in hpo; its log tells more.",
}


def dashboard(
    database: Database,
    guard: Guard,
    uploads: Uploads,
    *,
    submit: Callable[[Question], None],
    tell_error: Callable[[str], None],
) -> Flask:
    """The whole app on one open database.

    `submit` writes a question to the database; `tell_error` hears the traceback of what should not
    have happened.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES_OF_A_FORM  # an upload may have more
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    metrics = RequestMetrics(database)
    metrics.watch(app)  # first, so that it times all
    guard.watch(app)
    view = optuna_view.OptunaView(database)
    for part in (
        health.blueprint(database, metrics),
        sign_in.blueprint(guard),
        pages.blueprint(database),
        study_pages.blueprint(database, view),
        changes.blueprint(database),
        new_study.blueprint(uploads, submit),
        optuna_view.blueprint(view),
    ):
        app.register_blueprint(part)
    app.context_processor(
        lambda: {"may_change": may_change(), "has_login": guard.tokens.are_asked_for}
    )
    _word_errors(app, tell_error)
    return app


def _word_errors(app: Flask, tell_error: Callable[[str], None]) -> None:
    def tell_unexpected(error: Exception) -> Response:
        tell_error("".join(traceback.format_exception(error)))
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return _tell(SENTENCES[status], status)

    app.register_error_handler(HpoError, _ours)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, tell_unexpected)


def _ours(error: HpoError) -> Response:
    kinds = (status for kind, status in STATUSES if isinstance(error, kind))
    status = next(kinds, HTTPStatus.INTERNAL_SERVER_ERROR)
    # Of a study that is not there a visitor hears neither the storage nor the other studies.
    said = error.problem if isinstance(error, UnknownStudy) else str(error)
    answer = _tell(said, status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "5"
    return answer


def _of_http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    is_said_by_us = error.description != type(error).description
    said = error.description if is_said_by_us else SENTENCES.get(status, error.description)
    answer = _tell(said or status.phrase, status)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="hpo"'
    return answer


def _tell(sentence: str, status: HTTPStatus) -> Response:
    """As a page for people, as JSON for programs; who is not known gets the form to log in."""
    asks_who = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
    if "text/html" not in request.headers.get("Accept", ""):
        answer = jsonify(error=sentence)
    elif asks_who:
        is_told = request.path == "/login" or status == HTTPStatus.TOO_MANY_REQUESTS
        answer = sign_in.form(sentence if is_told else "")
    else:
        page = render_template("error.html", status=status, sentence=sentence)
        answer = Response(page, mimetype="text/html")
    answer.status_code = status
    return answer
