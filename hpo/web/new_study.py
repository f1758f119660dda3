"""A new study: a study file and its data are uploaded, checked, and then submitted."""

from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request

from hpo.data.question import Question, describe
from hpo.errors import DataError, SpecError
from hpo.web.guard import refuse_viewers
from hpo.web.uploads import MOST_BYTES, Uploads


def blueprint(uploads: Uploads, submit: Callable[[Question], None]) -> Blueprint:
    """/new and what follows it."""
    pages = Blueprint("new_study", __name__)

    @pages.get("/new")
    def _form() -> Response:
        refuse_viewers()
        uploads.remove_old()
        return _page("new.html", problem="")

    @pages.post("/new")
    def _check() -> Response:
        refuse_viewers()
        request.max_content_length = MOST_BYTES
        key = ""
        try:
            key, kept = uploads.keep(request.files.get("study"), request.files.get("data"))
            question = kept.ask()
        except (SpecError, DataError) as error:
            uploads.remove(key)
            return _page("new.html", status=422, problem=str(error))
        return _page("checked.html", key=key, study=question.study, facts=describe(question))

    @pages.post("/new/submit")
    def _submit() -> Response:
        refuse_viewers()
        key = request.form.get("key", "")
        question = uploads.find(key).ask()
        submit(question)
        uploads.remove(key)
        return redirect(f"/studies/{question.study.name}", 303)  # type: ignore[return-value]

    return pages


def _page(template: str, *, status: int = 200, **values: object) -> Response:
    return Response(render_template(template, **values), status=status, mimetype="text/html")
