"""Where snapshots are shown: drawn in place on a terminal, elsewhere a calm line now and then."""

import os
import time
from collections.abc import Callable
from typing import TextIO

from hpo.live.frame import Frame
from hpo.live.pace import Pace
from hpo.live.view import best_in_words, trials_of, view
from hpo.service.snapshot import Snapshot
from hpo.spec.telling import duration

CALM_S = 15.0
SPARE_ROWS = 1  # for the cursor, under the lines


def is_live(stream: TextIO) -> bool:
    """Whether lines can be drawn over on this stream: a terminal's, by who has it before him."""
    if not stream.isatty() or os.environ.get("TERM", "") in ("dumb", "unknown"):
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()  # else it runs in the background
    except OSError:  # not the terminal that started it
        return True


class Display:
    """Shows the snapshots of one study; `close` before anything else is printed.

    One that `is_eager` tells the first of them, and each new stage, without delay.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        is_eager: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._clock = stream, clock
        self._frame = Frame(stream) if is_live(stream) else None
        self._pace = Pace(clock)
        self._told_s, self._told = clock(), ""
        self._is_eager, self._stage = is_eager, ""

    def show(self, now: Snapshot) -> None:
        """Draw it, or tell it where it is time to."""
        self._pace.see(now)
        if self._frame is not None:
            columns, rows = self._frame.size
            ascii_only, room = self._frame.ascii_only, rows - SPARE_ROWS
            drawn = view(now, self._pace, columns=columns, rows=room, ascii_only=ascii_only)
            self._frame.draw(drawn)
        elif self._is_news(now) or self._clock() - self._told_s >= CALM_S:
            self._tell(calm_words(now, self._pace))

    def _is_news(self, now: Snapshot) -> bool:
        before, self._stage = self._stage, f"{now.stage}, {now.progress.state}"
        return self._is_eager and before != self._stage

    def close(self) -> None:
        """Take back what is drawn; the next snapshot is drawn anew."""
        if self._frame is not None:
            self._frame.clear()

    def _tell(self, words: str) -> None:
        self._told_s = self._clock()
        if words != self._told:
            self._told = words
            self._stream.write(f"{words}\n")
            self._stream.flush()


def calm_words(now: Snapshot, pace: Pace) -> str:
    """How far the study is, in one line."""
    if now.stage == "benchmarks":
        return "forecasting the benchmarks" if now.workers else "waiting for a worker"
    if now.progress.state == "paused":
        return f"paused: {trials_of(now)}"
    rate, left_s = pace.networks_per_s, pace.left_s(now)
    speed = f", {rate:.3g}/s" if rate is not None else ""
    if now.stage in ("finalists", "test"):
        fresh = now.raced + now.tested
        said = f"finalists with fresh seeds: {fresh:,} networks{speed}"
    else:
        best = f", best {best_in_words(now)}" if now.sizes else ""
        said = f"{trials_of(now)}, {now.progress.networks:,} networks{speed}{best}"
    return said + (f", at most {duration(left_s)} left" if left_s is not None else "")
