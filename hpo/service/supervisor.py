"""Worker processes on this machine: started, watched, replaced when they die, stopped."""

import os
import subprocess
import sys
import time

WORKER = "hpo.service.worker"
MOST_RESTARTS = 3
GRACE_S = 10.0


class Supervisor:
    """`count` worker processes that serve one study, each with `threads` threads that train."""

    def __init__(self, url: str, name: str, *, count: int, threads: int) -> None:
        self.url, self.name, self.threads = url, name, threads
        self.restarts_left = MOST_RESTARTS
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        # The URL may hold a password: it travels in the environment, not on the command line.
        return subprocess.Popen(
            [sys.executable, "-m", WORKER, self.name, str(self.threads), str(os.getpid())],
            # Networks train side by side, each on one thread: torch's own would only wait.
            env=os.environ | {"HPO_STORAGE": self.url, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to hear: workers are asked to stop, in turn
        )

    def watch(self) -> bool:
        """Replace workers that were killed; False when none is left to work."""
        for place, process in enumerate(self.processes):
            died = process.poll() is not None and process.returncode < 0
            if died and self.restarts_left:
                self.restarts_left -= 1
                self.processes[place] = self._start()
        return any(process.poll() is None for process in self.processes)

    def stop(self) -> None:
        """Ask all workers to drop what they train and end; kill those that do not."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
