"""A pseudo-terminal, and what a person would see on it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyte

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class Terminal:
    """A terminal of so many columns and rows; `fed` is all that was ever written to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.reading, self.writing = pty.openpty()
        self.fed = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(columns, rows)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.reading)
        os.close(self.writing)

    def resize(self, columns: int, rows: int) -> None:
        """Make it of another size, as a person does: lines that are too long are broken anew."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.writing, termios.TIOCSWINSZ, size)
        above = self.lines[: self._screen.cursor.y]
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._stream.feed("".join(f"{line}\r\n" for line in above).encode())

    def start(
        self, words: Sequence[str], *, cwd: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a command on this terminal."""
        clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}

        def take() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        return subprocess.Popen(
            words,
            stdin=self.writing,
            stdout=self.writing,
            stderr=self.writing,
            cwd=cwd,
            env=clean | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
            preexec_fn=take,
        )

    def press(self, keys: bytes) -> None:
        """Type this."""
        os.write(self.reading, keys)

    @property
    def lines(self) -> list[str]:
        """What is seen now, without empty lines at the end."""
        self._read()
        seen = [line.rstrip() for line in self._screen.display]
        while seen and not seen[-1]:
            seen.pop()
        return seen

    @property
    def text(self) -> str:
        """What is seen now."""
        return "\n".join(self.lines)

    def _read(self) -> None:
        while select.select([self.reading], [], [], 0)[0]:
            found = os.read(self.reading, 1 << 16)
            self.fed += found
            self._stream.feed(found)
