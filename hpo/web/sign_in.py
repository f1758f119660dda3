"""Logging in with a token, and out."""

from flask import Blueprint, Response, g, redirect, render_template, request

from hpo.web.guard import Guard


def blueprint(guard: Guard) -> Blueprint:
    """/login and /logout."""
    pages = Blueprint("sign_in", __name__)

    @pages.get("/login")
    def _form() -> Response:
        return form() if guard.tokens.are_asked_for else _to("/")

    @pages.post("/login")
    def _log_in() -> Response:
        if not guard.tokens.are_asked_for:
            return _to("/")
        token = request.form.get("token", "").strip()
        role = guard.log_in(token)
        answer = _to(local_path(request.form.get("then", "")))
        guard.remember(answer, role, token)
        return answer

    @pages.post("/logout")
    def _log_out() -> Response:
        answer = _to("/login")
        guard.forget(answer)
        return answer

    return pages


def form(problem: str = "") -> Response:
    """The form, which leads on to the page that was asked for."""
    asked = request.path if request.method == "GET" else ""  # what changes something is no page
    then = request.form.get("then", "") if request.path == "/login" else asked
    g.role = None
    page = render_template("login.html", problem=problem, then=local_path(then))
    return Response(page, mimetype="text/html")


def local_path(path: str) -> str:
    r"""The path if it is one of this dashboard's pages, else the first page's.

    >>> local_path("/studies/oil"), local_path("//evil.example"), local_path("/\\evil.example")
    ('/studies/oil', '/', '/')
    """
    is_local = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()
    return path if is_local and not path.startswith(("/login", "/logout")) else "/"


def _to(path: str) -> Response:
    return redirect(path, 303)  # type: ignore[return-value]
