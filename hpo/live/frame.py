"""A few lines of a terminal that are drawn over and over in the same place.

Not rich's Live: that erases its lines before it draws them, and leaves some behind in a terminal
that was made narrower. Here each line is written over what stood there, in one go with all others.
"""

import io
import os
import termios
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

LOCAL_MODES = 3  # their place among those of termios
UP, ERASE_TO_END_OF_LINE, ERASE_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


class Frame:
    """Lines at the end of what a terminal shows; the cursor stands under them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._widths: list[int] = []  # of the lines that are drawn
        self._modes: list[Any] | None = None  # of the terminal, to be restored
        self._paint = Console(file=stream, width=1000, soft_wrap=True, highlight=False)
        self.ascii_only = self._paint.options.ascii_only

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal now."""
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except (OSError, io.UnsupportedOperation):
            return 80, 24
        return found.columns or 80, found.lines or 24

    def draw(self, lines: Sequence[Text]) -> None:
        """Write these lines over the last ones; none may be as wide as the terminal."""
        if self._modes is None:
            self._modes = _keep_what_is_written(self._stream)
        body = "".join(f"{self._painted(line)}{ERASE_TO_END_OF_LINE}\n" for line in lines)
        self._write(f"{self._to_the_top()}{body}{ERASE_BELOW}")
        self._widths = [line.cell_len for line in lines]

    def clear(self) -> None:
        """Leave nothing of the lines behind."""
        if self._widths:
            self._write(f"{self._to_the_top()}{ERASE_BELOW}")
            self._widths = []
        if self._modes:
            termios.tcsetattr(self._stream.fileno(), termios.TCSANOW, self._modes)
            self._modes = None

    def _to_the_top(self) -> str:
        """In a terminal that was made narrower a line takes more rows than when it was drawn."""
        columns, rows = self.size
        up = sum(max(1, -(-width // columns)) for width in self._widths)
        return "\r" + (UP.format(min(up, rows - 1)) if up else "")

    def _painted(self, line: Text) -> str:
        if self._paint.no_color:  # nor bold
            return line.plain
        with self._paint.capture() as captured:
            self._paint.print(line, end="")
        return captured.get()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _keep_what_is_written(stream: TextIO) -> list[Any] | None:
    """Have Ctrl-C drop no line on its way to the terminal: then none is left behind.

    The modes to be restored; None where the terminal is not ours to change.
    """
    try:
        number = stream.fileno()
        if os.tcgetpgrp(number) != os.getpgrp():
            return None
        modes = termios.tcgetattr(number)
    except (OSError, termios.error):
        return None
    changed = list(modes)
    changed[LOCAL_MODES] |= termios.NOFLSH
    termios.tcsetattr(number, termios.TCSANOW, changed)
    return modes
