"""Worker processes on this machine: started, watched, replaced when they die, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from hpo import events
from hpo.spec.storage import STORAGE

WORKER = "hpo.service.worker"
SOON_S = 2.0  # a worker that dies sooner is not likely to live longer when started again
MOST_SOON = 5  # such deaths in a row
GRACE_S = 10.0
LAST_WORD_S = 1.0  # after the grace

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What `python -m hpo.service.worker` is told; `only`: the study, all where it is empty."""

    only: str = ""
    threads: int = 1
    idle_exit_s: float = 0.0
    memory_gb: float = 0.0
    metrics_port: int = 0
    quiet: bool = False

    def words(self, place: int) -> list[str]:
        """The words of the worker at this place, of those on one machine."""
        said = {
            "--only": self.only,
            "--threads": self.threads,
            "--parent": os.getpid(),
            "--idle-exit": self.idle_exit_s,
            "--memory-gb": self.memory_gb,
            "--metrics-port": self.metrics_port and self.metrics_port + place,
        }
        return [f"{key}={value}" for key, value in said.items()] + ["--quiet"] * self.quiet


class Supervisor:
    """`count` worker processes on the database at `url`.

    One that was killed is replaced, but for a place where five in a row died within two seconds.
    """

    def __init__(
        self,
        url: str,
        options: WorkerOptions,
        *,
        count: int,
        hear: events.Hear = events.ignore,
        clock: Clock = time.monotonic,
    ) -> None:
        self._url, self._options, self._hear, self._clock = url, options, hear, clock
        self._soon, self._was_told = [0] * count, False
        self._started_s = [clock()] * count
        self.processes = [self._start(place) for place in range(count)]

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        # The URL may hold a password: it travels in the environment, not on the command line.
        self._started_s[place] = self._clock()
        return subprocess.Popen(
            [sys.executable, "-m", WORKER, *self._options.words(place)],
            # Networks train side by side, each on one thread: torch's own would only wait.
            env=os.environ | {STORAGE: self._url, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to hear: workers are asked to stop, in turn
        )

    def watch(self) -> bool:
        """Replace workers that were killed; False when none is left to work."""
        for place, process in enumerate(self.processes):
            code = process.poll()
            if code is not None and code < 0 and self._may_replace(place):
                self._hear(events.WorkerReplaced(place, code))
                self.processes[place] = self._start(place)
        return any(process.poll() is None for process in self.processes)

    def _may_replace(self, place: int) -> bool:
        if self._soon[place] == MOST_SOON:
            return False
        lived_s = self._clock() - self._started_s[place]
        self._soon[place] = self._soon[place] + 1 if lived_s < SOON_S else 0
        return self._soon[place] < MOST_SOON

    @property
    def exit_code(self) -> int:
        """Of the worker that ended worst; 1 for one that was killed."""
        codes = [process.poll() or 0 for process in self.processes]
        if self._was_told:
            # A worker that was still starting had not begun to listen.
            codes = [0 if code == -signal.SIGTERM else code for code in codes]
        return max(code if code >= 0 else 1 for code in codes)

    def stop(self) -> None:
        """Ask all workers to keep what they train and end; kill those that do not."""
        self._was_told = True
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        deadline = self._clock() + GRACE_S + LAST_WORD_S
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
