"""The dashboard is served: a port is opened, waitress answers, SIGTERM and Ctrl-C end it."""

import logging
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from types import FrameType
from typing import Any

from waitress import create_server

from hpo.data.question import Question
from hpo.errors import UsageError
from hpo.service.database import open_database
from hpo.service.trials import quiet
from hpo.web.app import dashboard
from hpo.web.guard import LOCAL, Guard
from hpo.web.tokens import VARIABLES, Tokens, tokens_in_force
from hpo.web.uploads import MOST_BYTES, Uploads

THREADS = 8
LIMITS = {
    "connection_limit": 50,  # each may fill a temporary file with its request
    "channel_timeout": 60,  # seconds of silence
    "max_request_header_size": 2**15,
    "max_request_body_size": MOST_BYTES + 2**16,
}


def serve(
    storage: str,
    *,
    host: str,
    port: int,
    behind_tls: bool,
    submit: Callable[[Question], None],
    tell: Callable[[str], None],
) -> int:
    """Serve until a signal: the exit code. Raises UsageError, DatabaseError."""
    tokens = tokens_in_force()
    _refuse_open_doors(tokens, host, behind_tls=behind_tls)
    quiet()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is no mishap
    with (
        closing(open_database(storage, connections=THREADS)) as database,
        closing(Uploads()) as uploads,
    ):
        app = dashboard(
            database, Guard(tokens, behind_tls), uploads, submit=submit, tell_error=_tell_error
        )
        server = _listen(app, host, port, behind_tls=behind_tls)
        heard = _hear_signals()
        tell(_opening(server, host, tokens))
        server.run()
        server.close()
        return 130 if signal.SIGINT in heard else 0


def _tell_error(trace: str) -> None:
    sys.stderr.write(trace)
    sys.stderr.flush()


def _refuse_open_doors(tokens: Tokens, host: str, *, behind_tls: bool) -> None:
    """Raises UsageError where strangers could change studies."""
    if tokens.are_asked_for:
        return
    remedy = f"set {VARIABLES['admin']}, for example to the output of: openssl rand -hex 24"
    if host not in LOCAL:
        raise UsageError(
            f"without a token the dashboard listens on 127.0.0.1 only, not on {host}", remedy=remedy
        )
    if behind_tls:
        raise UsageError("--behind-tls needs a token: others reach the dashboard", remedy=remedy)


def _listen(app: Any, host: str, port: int, *, behind_tls: bool) -> Any:
    try:
        return create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            ident="hpo",
            clear_untrusted_proxy_headers=not behind_tls,
            **LIMITS,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host}, port {port}: {reason}", remedy="choose another --port"
        ) from None


def _opening(server: Any, host: str, tokens: Tokens) -> str:
    shown = f"[{host}]" if ":" in host else host
    port = getattr(server, "effective_port", None) or server.effective_listen[0][1]
    roles = " and ".join(sorted(tokens.now()))
    who = f"log in as {roles}" if roles else "no token is set: everyone on this machine is an admin"
    return f"dashboard on http://{shown}:{port} ({who}); Ctrl-C ends it"


def _hear_signals() -> list[int]:
    """From now on SIGINT and SIGTERM end the process, in waitress after its present answers."""
    heard: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        raise SystemExit(130 if number == signal.SIGINT else 0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return heard
