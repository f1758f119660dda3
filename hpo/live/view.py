"""A snapshot of a study as the lines of its live view, cut to the size of a terminal."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from hpo.live.pace import Pace
from hpo.live.sketch import ASCII, Mark, Strokes, sketch
from hpo.screen import INDENT, break_line, trials_in_words
from hpo.service.shown import TrialShown
from hpo.service.snapshot import Snapshot
from hpo.spec.telling import duration, number
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words

WIDEST = 76  # columns
NARROWEST_SKETCH = 50
SKETCH_ROWS = (5, 9)  # at least, at most; with the axis
STAGES = ("benchmarks", "search", "finalists", "test")
SIZES_SHOWN = 3
COLOURS = {"1": "cyan", "2": "magenta", "3": "yellow"}  # by the number of layers
MARGIN = 2  # columns kept free: a full line would be broken by some terminals


def view(
    now: Snapshot, pace: Pace, *, columns: int, rows: int, ascii_only: bool = False
) -> list[Text]:
    """At most `rows` lines of fewer than `columns` characters, the most important first."""
    width = max(min(columns - MARGIN, WIDEST), 1)
    lines = [
        _styled(part, is_best=line.startswith("Best "))
        for line in words(now, pace)
        for part in break_line(line, width)
    ]
    if now.progress.benchmarked:
        lines.insert(_after_trials(lines), _bar(now, width, ascii_only=ascii_only))
    room = rows - len(lines) - 2
    if columns >= NARROWEST_SKETCH and room >= SKETCH_ROWS[0] and now.sizes:
        strokes = ASCII if ascii_only else Strokes()
        height = min(room, SKETCH_ROWS[1])
        lines += [Text(), *_sizes(now, width=width, height=height, strokes=strokes)]
    return [cut(line, width, ascii_only=ascii_only) for line in lines[:rows]]


def words(now: Snapshot, pace: Pace) -> list[str]:
    """What the view says above its sketch, each line under its label."""
    counts = now.progress
    lines = [f"Study       {now.study}: {stage_in_words(now)}"]
    if now.trouble:
        lines.append(f"Note        {now.trouble}")
    if not counts.benchmarked:
        return lines
    lines.append(f"Trials      {trials_of(now)}")
    rate = pace.networks_per_s
    speed = f", {rate:.3g} a second" if rate is not None else ""
    race = now.raced + now.tested
    fresh = f", {race:,} of them with fresh seeds" if race else ""
    lines.append(f"Networks    {counts.networks:,}{fresh}{speed}")
    if now.sizes:
        lines.append(f"Best        {best_in_words(now)}")
    if now.trying and counts.running:
        lines.append(f"Trying      {_tried(now.trying)}")
    if now.stage != "ended":
        lines.append(f"Time        {_time(now, pace)}")
    return lines


def trials_of(now: Snapshot) -> str:
    """How many trials have ended, and how.

    `at most`: the ladder may end before its budget is spent.
    """
    may_be_fewer = now.may_end_early and now.stage in ("benchmarks", "search")
    return trials_in_words(now.progress.trials, of=now.budget, at_most=may_be_fewer)


def stage_in_words(now: Snapshot) -> str:
    """Where the study is, and how many work on it."""
    counts = now.progress
    if now.stage == "ended":
        return counts.state
    if counts.state in ("paused", "stopping"):
        said = f"{counts.state}, stage {STAGES.index(now.stage) + 1} of {len(STAGES)}"
    else:
        said = f"stage {STAGES.index(now.stage) + 1} of {len(STAGES)}"
    served = counted(now.workers, "worker") if now.workers else "no worker yet"
    return f"{said}, {now.stage}; {served}"


def best_in_words(now: Snapshot) -> str:
    """The best size so far beside the best benchmark."""
    best = min(now.sizes, key=_score)
    said = f"{size_in_words(best.cells)}, {METRICS[now.metric]} {number(_score(best))}"
    if not now.benchmarks:
        return said
    name, theirs = _benchmark(now), min(now.benchmarks.values())
    if not theirs > 0:
        return f"{said}; {name} {number(theirs)}"
    share = _score(best) / theirs - 1
    than = f"{abs(share):.1%} {'higher' if share > 0 else 'lower'} than"
    return f"{said}: {than} {name}'s {number(theirs)}"


def _score(trial: TrialShown) -> float:
    return math.inf if trial.score is None else trial.score


def _tried(sizes: Sequence[tuple[int, ...]]) -> str:
    counts = Counter(sizes)
    shown = [
        size_in_words(cells) + (f" ({count} trials)" if count > 1 else "")
        for cells, count in counts.most_common(SIZES_SHOWN)
    ]
    more = len(counts) - len(shown)
    return "; ".join([*shown, *([f"{counted(more, 'size')} more"] if more else [])])


def _time(now: Snapshot, pace: Pace) -> str:
    watched, left_s = duration(pace.elapsed_s), pace.left_s(now)
    if now.progress.state == "paused":
        return f"{watched}; hpo resume {now.study} lets it go on"
    if left_s is None:
        return watched
    return f"{watched}; at most {duration(left_s)} left at this pace"


def _sizes(now: Snapshot, *, width: int, height: int, strokes: Strokes) -> list[Text]:
    """The sketch under a line that says what it shows."""
    trying = [sum(cells) for cells in now.trying]
    plot = sketch(
        [Mark(trial.layers, trial.cells_in_all, _score(trial)) for trial in now.sizes],
        benchmark=min(now.benchmarks.values(), default=None),
        now=trying,
        width=width,
        height=height,
        strokes=strokes,
    )
    head = f"Sizes       {METRICS[now.metric]} by cells; 1, 2, 3 layers"
    for more in _legend(now, strokes):
        head += f"; {more}" if len(head) + len(more) + 2 <= width else ""
    return [_styled(head), *(_coloured(line, strokes) for line in plot)]


def _legend(now: Snapshot, strokes: Strokes) -> list[str]:
    tried = [f"{strokes.now} now"] if now.trying else []
    return [*tried, *([f"{strokes.benchmark} {_benchmark(now)}"] if now.benchmarks else [])]


def _benchmark(now: Snapshot) -> str:
    """The name of the best one."""
    return benchmark_name(min(now.benchmarks, key=lambda one: now.benchmarks[one]))


def _coloured(line: str, strokes: Strokes) -> Text:
    """A line of the sketch: the marks of each number of layers in their own colour."""
    text = Text(line, style="dim")
    text.highlight_regex(re.escape(strokes.now), "not dim green")
    if strokes.tick in line[:INDENT] or strokes.side in line[:INDENT]:
        for place, character in enumerate(line[INDENT:], start=INDENT):
            if character in COLOURS:
                text.stylize(f"not dim bold {COLOURS[character]}", place, place + 1)
    return text


def _styled(line: str, *, is_best: bool = False) -> Text:
    """A line of words with its label set back, what is best so far set off."""
    text = Text(line)
    if line[:INDENT].strip():
        text.stylize("dim", 0, INDENT)
    if is_best:
        text.stylize("bold", INDENT)
    return text


def _bar(now: Snapshot, width: int, *, ascii_only: bool) -> Text:
    """How much of the budget is spent."""
    full, empty = ("#", "-") if ascii_only else ("━", "─")
    counts, across = now.progress, max(width - INDENT, 1)
    spent = round(across * (counts.trials.ended + counts.skipped) / max(now.budget, 1))
    text = Text(" " * INDENT)
    return text.append(full * spent, "green").append(empty * (across - spent), "dim")


def _after_trials(lines: Sequence[Text]) -> int:
    """The place under the line of trials, where it is broken under all of its parts."""
    first = next(i for i, line in enumerate(lines) if line.plain.startswith("Trials "))
    rest = (i for i in range(first + 1, len(lines)) if lines[i].plain[:INDENT].strip())
    return next(rest, len(lines))


def cut(line: Text, width: int, *, ascii_only: bool) -> Text:
    """The line, its end cut off where it is too long."""
    end = "..." if ascii_only else "…"
    if len(line) <= width:
        return line
    line.truncate(max(width - len(end), 0))
    return line.append(end[: max(width, 0)])
