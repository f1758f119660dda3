"""How fast a study goes while it is watched, and how long it may still take at that pace."""

import time
from collections import deque
from collections.abc import Callable

from hpo.service.snapshot import Snapshot

WINDOW_S = 30.0  # the pace is that of so many seconds
FEWEST_ENDED = 2  # trials, before a time can be told


class Pace:
    """Sees snapshots of one study, one after the other."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._seen = deque[tuple[float, int]]()  # when, networks
        self._first: tuple[float, int] | None = None  # when trials began to be trained, ended

    def see(self, now: Snapshot) -> None:
        """Take this one into account."""
        at_s, ended = self._clock(), now.progress.trials.ended
        if now.stage in ("benchmarks", "ended") or now.progress.state == "paused":
            self._seen.clear()
            self._first = None
            return
        if self._first is None:
            self._first = at_s, ended
        self._seen.append((at_s, now.progress.networks))
        while at_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    @property
    def elapsed_s(self) -> float:
        """Since the first look."""
        return self._clock() - self._began_s

    @property
    def networks_per_s(self) -> float | None:
        """Of late; None before it can be told."""
        if len(self._seen) < 2:
            return None
        (from_s, before), (to_s, after) = self._seen[0], self._seen[-1]
        return (after - before) / (to_s - from_s) if to_s > from_s else None

    def left_s(self, now: Snapshot) -> float | None:
        """Seconds that the rest of the search and the race may take at this pace, at the most.

        None where nothing tells it yet.
        """
        rate = self.networks_per_s
        if not rate or now.stage not in ("search", "finalists"):
            return None
        if now.stage == "finalists":
            return max(now.most_raced - now.raced, 0) / rate
        if self._first is None:
            return None
        ended = now.progress.trials.ended - self._first[1]
        if ended < FEWEST_ENDED:
            return None
        each_s = (self._clock() - self._first[0]) / ended
        return (now.progress.running + now.progress.waiting) * each_s + now.most_raced / rate
