"""The error against size while a study runs: the best trial of each size beside the benchmarks."""

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.service.shown import TrialShown
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web.drawing import INK, LAYERS, MARKS, Drawn
from hpo.web.figures import draw_benchmark, legend_above, scale_sizes


def curve_so_far(
    sizes: Sequence[TrialShown],
    benchmarks: Mapping[str, float],
    metric: str,
    *,
    chosen: tuple[int, ...] = (),
) -> Drawn | None:
    """The curve of `sizes`, those of `shown.best_of_sizes`; None where there are none.

    A star marks the `chosen` cells per layer, or the best size where none are.
    """
    if not sizes:
        return None
    starred = next((s for s in sizes if s.cells == chosen), min(sizes, key=_score))
    rival = min(benchmarks, key=lambda name: benchmarks[name], default="")
    said = f"; the best benchmark, {benchmark_name(rival)}, has {benchmarks[rival]:.4g}"
    what = "recommended" if chosen else "best so far"
    return Drawn(
        name="size-curve",
        title="Error against size",
        alt=f"{METRICS[metric]} of the best trial of {counted(len(sizes), 'size')}; {what} is"
        f" {size_in_words(starred.cells)} with {_score(starred):.4g}{said if rival else ''}.",
        draw=partial(_draw, sizes, starred, what, benchmarks, rival, metric),
        height=3.4,
        narrow=2.4,
    )


def _draw(
    sizes: Sequence[TrialShown],
    starred: TrialShown,
    what: str,
    benchmarks: Mapping[str, float],
    rival: str,
    metric: str,
    figure: Figure,
) -> None:
    axes = figure.subplots()
    for layers in sorted({size.layers for size in sizes}):
        _draw_layers(axes, [size for size in sizes if size.layers == layers], layers)
    axes.plot(
        starred.cells_in_all, _score(starred), "*", color=INK, markersize=12, lw=0, label=what,
        zorder=6,
    )  # fmt: skip
    axes.margins(y=0.2)
    scale_sizes(axes, sorted({size.cells_in_all for size in sizes}))
    draw_benchmark(axes, benchmarks, rival)
    axes.set(xlabel="cells of all layers together", ylabel=f"{METRICS[metric]} on the folds")
    legend_above(axes)


def _draw_layers(axes: Axes, sizes: Sequence[TrialShown], layers: int) -> None:
    """The best of each number of cells, joined."""
    best: dict[int, TrialShown] = {}
    for size in sorted(sizes, key=_score):
        best.setdefault(size.cells_in_all, size)
    cells, style = sorted(best), min(layers, len(LAYERS)) - 1
    axes.plot(
        cells,
        [_score(best[cell]) for cell in cells],
        color=LAYERS[style],
        marker=MARKS[style],
        markersize=4,
        label=counted(layers, "layer"),
    )


def _score(size: TrialShown) -> float:
    assert size.score is not None, "of each size a complete trial is shown"
    return size.score
