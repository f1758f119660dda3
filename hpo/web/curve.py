"""The error against the size of the network, drawn as SVG that needs no script and no style."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hpo.service.shown import TrialShown, lines_by_layers
from hpo.spec.telling import number
from hpo.spec.words import benchmark_name

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 44
TICKS_WANTED = 5
CLOSEST = 30  # two numbers below the axis
CELLS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class _Scale:
    """From a value to a place in the picture."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def size_curve(
    sizes: Sequence[TrialShown],
    *,
    metric: str,
    benchmarks: Mapping[str, float],
    recommended: Sequence[int] = (),
) -> Markup:
    """An SVG: one line for each number of layers, through the best trial of each size.

    `sizes`: those of `best_of_sizes`; with none of them it is empty. The best of `benchmarks` is a
    dashed line, and the `recommended` cells per layer wear a ring.
    """
    if not sizes:
        return Markup("")
    best = min(benchmarks, key=lambda name: benchmarks[name]) if benchmarks else ""
    x, y = _scales(sizes, [benchmarks[best]] if best else [])
    parts = [_axes(x, y, metric)]
    if best:
        parts.append(_level(y, benchmarks[best], benchmark_name(best)))
    for layers, line in lines_by_layers(sizes).items():
        parts.append(_line(line, [t for t in sizes if t.layers == layers], x, y))
    parts += [_ring(t, x, y) for t in sizes if t.cells == tuple(recommended)]
    label = f"Error ({metric}) of the best trial of each size, by cells of all layers"
    return Markup(
        '<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, label, Markup("").join(parts))


def _scales(sizes: Sequence[TrialShown], levels: Sequence[float]) -> tuple[_Scale, _Scale]:
    cells = [math.log(trial.cells_in_all) for trial in sizes]
    scores = [trial.score for trial in sizes if trial.score is not None]
    shown = [*_without_far_ones(scores), *levels]
    margin = max((max(shown) - min(shown)) * 0.12, abs(max(shown)) * 0.01, 1e-12)
    low, high = min(cells), max(cells)
    x = _Scale(low - 0.15, high + 0.15, LEFT, WIDTH - RIGHT)
    return x, _Scale(min(shown) - margin, max(shown) + margin, HEIGHT - BOTTOM, TOP)


def _without_far_ones(scores: Sequence[float]) -> list[float]:
    """The scores that decide the scale: one bad size must not flatten all others."""
    lowest = min(scores)
    middle = sorted(scores)[len(scores) // 2]
    return [score for score in scores if score <= max(middle + 4 * (middle - lowest), lowest * 1.5)]


def _axes(x: _Scale, y: _Scale, metric: str) -> Markup:
    parts = []
    for value in _ticks(y.low, y.high):
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>'
            ).format(LEFT, WIDTH - RIGHT, y(value), y(value), LEFT - 8, y(value) + 4, value)
        )
    last, below = -math.inf, HEIGHT - BOTTOM
    tick = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    for cells in CELLS:
        place = x(math.log(cells))
        if LEFT <= place <= WIDTH - RIGHT and place - last > CLOSEST:
            last = place
            parts.append(tick.format(place, below + 17, cells))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        Markup(
            '<line class="axis" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
            '<text class="title" x="{3}" y="{4}" text-anchor="middle">cells of all layers</text>'
            '<text class="title" transform="translate(13 {5}) rotate(-90)"'
            ' text-anchor="middle">{6}</text>'
        ).format(LEFT, WIDTH - RIGHT, below, middle, HEIGHT - 6, below / 2, metric)
    )
    return Markup("").join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within the limits.

    >>> _ticks(0.36, 0.58)
    [0.4, 0.45, 0.5, 0.55]
    """
    rough = (high - low) / TICKS_WANTED
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{n * step:.10g}") for n in range(first, last + 1)]


def _level(y: _Scale, value: float, name: str) -> Markup:
    place = y(value)
    above = place - 6 if place > TOP + 20 else place + 16
    return Markup(
        '<line class="level" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text class="level" x="{1}" y="{3:.1f}" text-anchor="end">{4}</text>'
    ).format(LEFT, WIDTH - RIGHT, place, above, f"{name} {number(value)}")


def _line(line: Sequence[TrialShown], trials: Sequence[TrialShown], x: _Scale, y: _Scale) -> Markup:
    """The line through the best of each total; every size as a point that tells itself."""
    through = " ".join(f"{_x(t, x):.1f},{_y(t, y):.1f}" for t in line)
    points = Markup(  # of numbers alone: there is nothing to be escaped
        "".join(
            f'<circle cx="{_x(t, x):.1f}" cy="{_y(t, y):.1f}" r="3"><title>'
            f"{' + '.join(map(str, t.cells))} cells: {number(_score(t))}</title></circle>"
            for t in trials
        )
    )
    return Markup('<g class="layers-{}"><polyline points="{}"/>{}</g>').format(
        trials[0].layers, through, points
    )


def _ring(trial: TrialShown, x: _Scale, y: _Scale) -> Markup:
    return Markup('<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="7"/>').format(
        _x(trial, x), _y(trial, y)
    )


def _score(trial: TrialShown) -> float:
    return math.inf if trial.score is None else trial.score


def _x(trial: TrialShown, x: _Scale) -> float:
    return x(math.log(trial.cells_in_all))


def _y(trial: TrialShown, y: _Scale) -> float:
    """Where it stands, at the picture's edge where it is far above."""
    return max(y(_score(trial)), TOP)
