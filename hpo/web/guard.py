"""What every request passes: whose it is, whether another website sent it, what is answered along.

Without tokens everyone on this machine is an admin; then a website that one visits must neither
send requests in one's name (Origin) nor pretend to be this machine (Host).
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import Forbidden, ServiceUnavailable, TooManyRequests, Unauthorized
from werkzeug.middleware.proxy_fix import ProxyFix

from hpo.errors import UsageError
from hpo.web.attempts import Attempts
from hpo.web.tokens import LONGEST_SESSION_S, Role, Tokens, session

OPEN = ("/healthz", "/readyz", "/login", "/logout", "/favicon.ico", "/assets/")
READING = ("GET", "HEAD", "OPTIONS")
LOCAL = ("127.0.0.1", "localhost", "::1")
NOTHING_ELSE = "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
OUR_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
    + NOTHING_ELSE
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:" + NOTHING_ELSE
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
RETRY_S = 5
TWO_YEARS = "max-age=63072000"


@dataclass(frozen=True)
class Guard:
    """The checks of one dashboard."""

    tokens: Tokens
    behind_tls: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    _proven: set[bytes] = field(default_factory=set)  # digests of tokens that were right

    def watch(self, app: Flask) -> None:
        """Check every request of the app, and give every answer its headers."""
        app.before_request(self._admit)
        app.after_request(self._protect)
        if self.behind_tls:  # one proxy, which has set these
            app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
                app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=0, x_prefix=0
            )

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; browsers hold the prefix to Secure and Path=/."""
        return "__Host-hpo_session" if self.behind_tls else "hpo_session"

    def log_in(self, token: str) -> Role:
        """Whose token it is.

        Raises Unauthorized, TooManyRequests after too many failures, and ServiceUnavailable while
        it may be one that cannot be read.
        """
        client = request.remote_addr or ""
        if wait_s := self.attempts.wait_s(client):
            raise TooManyRequests(
                "Too many failed attempts to log in. Wait some minutes, then try again.",
                retry_after=math.ceil(wait_s),
            )
        role = self._role_of(token)
        if role is None:
            self.attempts.failed(client)
            raise Unauthorized("This token is not right.")
        self._proven.add(_digest(token))
        return role

    def remember(self, answer: Response, role: Role, token: str) -> None:
        """Let the browser prove its role from now on."""
        answer.set_cookie(
            self.cookie,
            session(role, token),
            max_age=LONGEST_SESSION_S,
            path="/",
            secure=self.behind_tls,
            httponly=True,
            samesite="Strict",
        )

    def forget(self, answer: Response) -> None:
        """End the browser's session."""
        answer.delete_cookie(
            self.cookie, path="/", secure=self.behind_tls, httponly=True, samesite="Strict"
        )

    def _admit(self) -> None:
        g.role = None
        is_local = self.tokens.are_asked_for or _host(request) in LOCAL
        if not is_local:
            raise Forbidden(
                "Without tokens this dashboard answers to 127.0.0.1 and localhost only."
            )
        scheme, _, word = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.tokens.are_asked_for and not _is_open(request):
            g.role = self._role_of_bearer(word.strip())
            return
        if request.method not in READING and not self._is_from_here():
            raise Forbidden("This request did not come from a page of this dashboard.")
        g.role = self._known_role()
        if g.role is None and not _is_open(request):
            raise Unauthorized("Log in with a token, or send it: Authorization: Bearer TOKEN.")

    def _role_of_bearer(self, token: str) -> Role:
        """Who was right before gets in, whatever others at the same address got wrong since."""
        role = self._role_of(token) if _digest(token) in self._proven else None
        return role or self.log_in(token)

    def _role_of(self, token: str) -> Role | None:
        try:
            return self.tokens.role_of(token)
        except UsageError:
            raise ServiceUnavailable(
                "The dashboard's tokens cannot be read just now.", retry_after=RETRY_S
            ) from None

    def _is_from_here(self) -> bool:
        scheme = "https" if self.behind_tls else request.scheme
        return comes_from(dict(request.headers), f"{scheme}://{request.host}")

    def _known_role(self) -> Role | None:
        if not self.tokens.are_asked_for:
            return "admin"
        proof = request.cookies.get(self.cookie, "")
        return self.tokens.role_of_session(proof) if proof else None

    def _protect(self, answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers[name] = value
        given = answer.headers.get("Content-Security-Policy")
        if given is None:
            answer.headers["Content-Security-Policy"] = OUR_POLICY
        elif "frame-ancestors" not in given:  # optuna-dashboard's own
            answer.headers["Content-Security-Policy"] = given + NOTHING_ELSE
        if not request.path.startswith(("/assets/", "/static/")):
            answer.headers["Cache-Control"] = "no-store"
        if self.behind_tls:
            answer.headers["Strict-Transport-Security"] = TWO_YEARS
        return answer


def may_change() -> bool:
    """Whether who asks is an admin."""
    return bool(g.get("role") == "admin")


def refuse_viewers() -> None:
    """Raise Forbidden where who asks may only look."""
    if not may_change():
        raise Forbidden("A viewer may look, but not change anything: log in as admin.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_open(asked: Request) -> bool:
    return any(
        asked.path.startswith(path) if path.endswith("/") else asked.path == path for path in OPEN
    )


def _host(asked: Request) -> str:
    return urlsplit(f"//{asked.host}").hostname or ""


def comes_from(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a browser says that a page of this origin has sent the request.

    All browsers send one of the two headers, and no script can change them. What sends neither is
    no browser, and has a token to show.
    """
    site, said = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and said is None:
        return False
    return site in (None, "same-origin") and said in (None, origin)
