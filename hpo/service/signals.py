"""SIGINT and SIGTERM, heard by a thread: a handler could meet a lock of what it interrupts."""

import signal
import threading

ENDING = (signal.SIGINT, signal.SIGTERM)


class Stop(threading.Event):
    """Set by SIGINT or SIGTERM, whose name it keeps; more of them change nothing."""

    signal = ""

    def listen(self) -> None:
        """Hear the signals from now on; to be called before other threads are started."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        threading.Thread(target=self._hear, name="signals", daemon=True).start()

    def _hear(self) -> None:
        self.signal = signal.Signals(signal.sigwait(ENDING)).name
        self.set()
