"""The error by size as a small plot of characters: one mark a size, its number of layers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpo.screen import INDENT
from hpo.spec.telling import number

WORST_SHOWN = 2.0  # times the best or the benchmark: what is worse stands at the upper edge
LEAST_SPAN = 0.02  # of the height, as a share of the values
FEWEST_COLUMNS = 24


@dataclass(frozen=True)
class Mark:
    """A size and the best error that was seen of it."""

    layers: int
    cells: int
    score: float


@dataclass(frozen=True)
class Strokes:
    """The characters of axes, benchmark and sizes that are tried now."""

    tick: str = "┤"
    side: str = "│"
    corner: str = "└"
    floor: str = "─"
    benchmark: str = "╌"
    now: str = "▲"


ASCII = Strokes(tick="+", side="|", corner="+", floor="-", benchmark=".", now="^")


def sketch(
    marks: Sequence[Mark],
    *,
    benchmark: float | None,
    now: Sequence[int],
    width: int,
    height: int,
    strokes: Strokes,
) -> list[str]:
    """`height` lines, of which two are the axis of cells; `now`: cells that are tried now.

    >>> plot = sketch(
    ...     [Mark(1, 2, 0.5), Mark(1, 4, 0.4), Mark(2, 8, 0.45)],
    ...     benchmark=0.42, now=[8], width=37, height=6, strokes=ASCII,
    ... )
    >>> print("\\n".join(plot))
           0.5 +1
               |
               |.......................2
           0.4 +            1
               +-----------------------^
                2           4          8
    """
    across = max(width - INDENT - 1, FEWEST_COLUMNS)
    place = _places([mark.cells for mark in marks] + list(now), across)
    low, high = _limits([mark.score for mark in marks], benchmark)
    rows = height - 2

    def row(score: float) -> int:
        share = (high - min(score, high)) / (high - low)
        return round(share * (rows - 1))

    grid = [[" "] * across for _ in range(rows)]
    if benchmark is not None:
        grid[row(benchmark)] = [strokes.benchmark] * across
    for mark in sorted(marks, key=lambda one: -one.score):  # the best one is seen
        grid[row(mark.score)][place(mark.cells)] = str(mark.layers)
    floor = [strokes.floor] * across
    for cells in now:
        floor[place(cells)] = strokes.now
    and_above = ">" if max(mark.score for mark in marks) > high else ""
    labels = {0: f"{and_above}{number(high)}", rows - 1: number(low)}
    body = [
        f"{labels.get(r, ''):>{INDENT - 2}} {strokes.tick if r in labels else strokes.side}"
        f"{''.join(line)}".rstrip()
        for r, line in enumerate(grid)
    ]
    ticks = _ticks([mark.cells for mark in marks] + list(now), place, across)
    return [*body, f"{'':{INDENT - 1}}{strokes.corner}{''.join(floor)}", f"{'':{INDENT}}{ticks}"]


def _limits(scores: Sequence[float], benchmark: float | None) -> tuple[float, float]:
    """The errors at the lower and the upper edge."""
    shown = [*scores, *([] if benchmark is None else [benchmark])]
    best = min(scores)
    worst = WORST_SHOWN * max(best, best if benchmark is None else benchmark)
    low, high = min(shown), min(max(shown), worst)
    least = LEAST_SPAN * abs(high) or LEAST_SPAN
    return low, max(high, low + least)


def _places(cells: Sequence[int], across: int) -> Callable[[int], int]:
    """The column of so many cells: doubling them is always as far."""
    few, many = math.log(min(cells)), math.log(max(cells))
    span = max(many - few, math.log(2))
    return lambda count: round((math.log(count) - few) / span * (across - 1))


def _ticks(cells: Sequence[int], place: Callable[[int], int], across: int) -> str:
    """The numbers under the axis: the ends first, then powers of two where there is room."""
    line = [" "] * (across + 1)
    powers = [2**n for n in range(11) if min(cells) < 2**n < max(cells)]
    for count in (min(cells), max(cells), *powers):
        text = str(count)
        at = min(place(count), across - len(text))
        if not "".join(line[max(at - 2, 0) : at + len(text) + 2]).strip():
            line[at : at + len(text)] = text
    return "".join(line).rstrip()
