"""What `hpo status --watch` shows: one study or all of them, until they end."""

import sys
from typing import Any, TextIO

from rich.text import Text

from hpo import api, screen
from hpo.errors import Interrupted, UnknownStudy
from hpo.live.display import SPARE_ROWS, Display, is_live
from hpo.live.frame import Frame
from hpo.live.view import MARGIN, cut
from hpo.service.database import without_password
from hpo.service.snapshot import Snapshot


def watch(name: str, *, storage: str, stream: TextIO | None = None) -> list[str]:
    """Show a study (every study without a name) until the end; the lines of how it ended.

    Raises UnknownStudy, DatabaseError, Interrupted.
    """
    out = stream or sys.stdout
    try:
        return _one(name, storage, out) if name else _all(storage, out)
    except KeyboardInterrupt:
        raise Interrupted("no longer watched; what works on it goes on") from None


def _one(name: str, storage: str, out: TextIO) -> list[str]:
    study, display = api.open_study(name, storage=storage), Display(out, is_eager=True)

    def see(now: Snapshot) -> None:
        if now.stage != "ended":
            display.show(now)

    try:
        study.watch(see)
    finally:
        display.close()
    try:
        found = study.status()
    except UnknownStudy:
        return [f"{name} was deleted"]
    again = screen.command_again("answer", name, without_password(study.storage))
    answered = [f"its answer: {again}"] if found["state"] == "done" else []
    return screen.status_lines(found, whole=True) + answered


def _all(storage: str, out: TextIO) -> list[str]:
    frame = Frame(out) if is_live(out) else None
    told: list[str] = []

    def see(found: list[dict[str, Any]]) -> None:
        nonlocal told
        lines = [line for study in found for line in screen.status_lines(study)]
        if frame is not None:
            frame.draw(_fitting(lines, frame))
        elif lines != told:
            out.writelines(f"{line}\n" for line in lines if line not in told)
            out.flush()
        told = lines

    try:
        api.watch_all(see, storage=storage)
    finally:
        if frame is not None:
            frame.clear()
    return (told if frame is not None else []) or ["no studies yet"] * (not told)


def _fitting(lines: list[str], frame: Frame) -> list[Text]:
    """As many lines as the terminal has room for, and how many more there are."""
    columns, rows = frame.size
    room = max(rows - SPARE_ROWS, 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"and {len(lines) - room + 1} lines more"]
    return [cut(Text(line), columns - MARGIN, ascii_only=frame.ascii_only) for line in lines]
