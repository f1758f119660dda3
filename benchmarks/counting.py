"""What a worker of a benchmark counts of its own work, told as one JSON object at its end."""

import json
import sys
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

import sqlalchemy as sa


@dataclass
class Counts:
    """What one worker did from `began_at` to its last `ended_at`, both by the monotonic clock.

    That clock is the machine's: all its processes share it. Statements and commits are those of
    every engine of this process. `claims_s` tells how long it took to be given work, `waits_s` how
    long from the end of one work to the beginning of the next training.
    """

    began_at: float = 0.0
    statements: int = 0
    commits: int = 0
    training_s: float = 0.0
    claims_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Say that this worker is ready, wait to be told to begin, count from then on.

        The start of a process is not what is measured, and all begin at one moment.
        """
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        self.began_at = monotonic()
        self._statements = self._commits = 0
        sa.event.listen(sa.Engine, "before_cursor_execute", self._hear_statement)
        sa.event.listen(sa.Engine, "commit", self._hear_commit)

    def _hear_statement(self, *_: Any) -> None:
        self._statements += 1

    def _hear_commit(self, *_: Any) -> None:
        self._commits += 1

    def start_training(self) -> None:
        """A training begins: the first of newly given work."""
        self.waits_s.append(monotonic() - (self.ended_at or [self.began_at])[-1])

    def end_trial(self) -> None:
        """A trial is told; what is done after the last one is not counted."""
        self.ended_at.append(monotonic())
        self.statements, self.commits = self._statements, self._commits

    def tell(self) -> None:
        """Write what was counted to stdout, on a line of its own."""
        sys.stdout.write(json.dumps(asdict(self)) + "\n")
