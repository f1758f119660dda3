"""What happens, written as lines: text for people, JSON for machines."""

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import Literal, TextIO, cast, get_args

from hpo.errors import UsageError
from hpo.events import Event, Level, UnexpectedError, sentence

Form = Literal["text", "json"]
LEVELS: tuple[Level, ...] = get_args(Level)  # in ascending order


def form_in_force() -> Form:
    """The form that HPO_LOG names, else text. Raises UsageError."""
    form = os.environ.get("HPO_LOG") or "text"
    if form not in get_args(Form):
        raise UsageError(
            f"HPO_LOG={form!r} is no form of a log", remedy=f"choose {' or '.join(get_args(Form))}"
        )
    return cast(Form, form)


def log_to(
    stream: TextIO,
    *,
    form: Form = "text",
    least: Level = "info",
    clock: Callable[[], float] = time.time,
) -> Callable[[Event], None]:
    """What writes each event it is given to `stream`, from any thread, at once.

    Events below the level `least` are left out; `clock` tells seconds since 1970. Not to be
    called in a signal handler, which may have interrupted a call.
    """
    told = {"text": _as_text, "json": _as_json}[form]
    lock = Lock()

    def log(event: Event) -> None:
        if LEVELS.index(event.level) < LEVELS.index(least):
            return
        with lock, suppress(OSError):  # a full disk or a reader that left must not end the work
            stream.write(told(event, datetime.fromtimestamp(clock(), UTC)) + "\n")
            stream.flush()

    return log


def _as_text(event: Event, at: datetime) -> str:
    """One line, and below it, indented, a traceback or what else has several lines."""
    first, *below = sentence(event).splitlines()
    if isinstance(event, UnexpectedError):
        below += event.trace.splitlines()
    head = f"{at:%Y-%m-%dT%H:%M:%SZ} {event.level:<7} {first}"
    return "\n".join([head, *(f"    {line}" for line in below)])


def _as_json(event: Event, at: datetime) -> str:
    """One object: what every event has, then the event's own fields."""
    told = {
        "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": event.level,
        "event": type(event).__name__,
        "message": sentence(event),
    }
    return json.dumps(told | {name: _finite(value) for name, value in vars(event).items()})


def _finite(value: object) -> object:
    """JSON knows no infinite number: such a score is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
