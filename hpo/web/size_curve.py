"""The error against size: of a study that is done, and while it runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.service.evidence import Evidence, FinalistShown
from hpo.service.shown import TrialShown, lines_by_layers
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web.drawing import FAINT, INK, Drawn
from hpo.web.size_axes import draw_benchmark, draw_bound, legend_above, look_of, scale_sizes


def size_curve(evidence: Evidence) -> Drawn:
    """Of a study that is done: sizes, finalists, what is tied, bound and best benchmark."""
    answer = evidence.answer
    metric, best = METRICS[answer.metric], answer.best_benchmark or ""
    tried = f"{counted(len(evidence.sizes), 'size')} from "
    tried += f"{min(s.cells_in_all for s in evidence.sizes):,} to "
    tried += counted(max(s.cells_in_all for s in evidence.sizes), "cell")
    return Drawn(
        name="size-curve",
        title="Error against size",
        alt=f"{metric} of {tried}; recommended is {size_in_words(answer.cells or ())} with "
        f"{answer.score:.4g}; the best benchmark, {benchmark_name(best)}, has "
        f"{answer.benchmarks.get(best, float('nan')):.4g}.",
        draw=partial(_draw, evidence),
        height=3.8,
        narrow=3.6,
    )


def _draw(evidence: Evidence, figure: Figure) -> None:
    axes, answer = figure.subplots(), evidence.answer
    low, high = answer.cells_tied or (0, 0)
    if high:
        axes.axvspan(low / 1.12, high * 1.12, color=FAINT, alpha=0.55, lw=0, label="as good")
    for layers, line in lines_by_layers(evidence.sizes).items():
        axes.errorbar(
            [s.cells_in_all for s in line],
            [s.score for s in line],
            [s.behind_se for s in line],
            **look_of(layers),
            elinewidth=0.8,
            alpha=0.9,
            label=counted(layers, "layer"),
            zorder=3,
        )
    _draw_finalists(axes, evidence.finalists)
    axes.plot(
        sum(answer.cells or ()), answer.score or np.nan, "*", color=INK, markersize=12, lw=0,
        label="recommended", zorder=6,
    )  # fmt: skip
    scale_sizes(axes, evidence.sizes)
    draw_benchmark(axes, answer.benchmarks, answer.best_benchmark or "")
    draw_bound(axes, answer)
    axes.set(xlabel="cells of all layers together", ylabel=f"{METRICS[answer.metric]} on the folds")
    legend_above(axes)


def _draw_finalists(axes: Axes, finalists: Sequence[FinalistShown]) -> None:
    """Rings, with the standard error to the best of them."""
    cells, scores = [sum(f.cells) for f in finalists], [f.score for f in finalists]
    axes.errorbar(
        cells,
        scores,
        [f.behind_se if isfinite(f.behind_se) else 0 for f in finalists],
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=2.5,
        zorder=4,
    )
    axes.plot(
        cells,
        scores,
        "o",
        color="none",
        markeredgecolor=INK,
        markersize=8,
        lw=0,
        label="finalist, fresh seeds",
        zorder=5,
    )


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
        draw=partial(_draw_so_far, sizes, starred, what, benchmarks, rival, metric),
        height=3.4,
        narrow=2.4,
    )


def _draw_so_far(
    sizes: Sequence[TrialShown],
    starred: TrialShown,
    what: str,
    benchmarks: Mapping[str, float],
    rival: str,
    metric: str,
    figure: Figure,
) -> None:
    axes = figure.subplots()
    for layers, line in lines_by_layers(sizes).items():
        x, y = [size.cells_in_all for size in line], [_score(size) for size in line]
        axes.plot(x, y, **look_of(layers), label=counted(layers, "layer"))
    axes.plot(
        starred.cells_in_all, _score(starred), "*", color=INK, markersize=12, lw=0, label=what,
        zorder=6,
    )  # fmt: skip
    axes.margins(y=0.2)
    scale_sizes(axes, sizes)
    draw_benchmark(axes, benchmarks, rival)
    axes.set(xlabel="cells of all layers together", ylabel=f"{METRICS[metric]} on the folds")
    legend_above(axes)


def _score(size: TrialShown) -> float:
    assert size.score is not None, "of each size a complete trial is shown"
    return size.score
