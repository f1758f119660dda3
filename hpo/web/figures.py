"""The figures of a study that is done, drawn from its evidence.

Shapes: O origins, H horizon, N residuals.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite, log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from hpo.service.evidence import Evidence, SizeShown
from hpo.sizing.residuals import Checks
from hpo.spec.answer import AlphaPhase
from hpo.spec.words import METRICS, benchmark_name, counted, size_in_words
from hpo.web.drawing import (
    FAINT,
    INK,
    LAYERS,
    MARKS,
    NARROW_IN,
    OURS,
    RIVAL,
    SOFT,
    Drawn,
)
from hpo.web.residual_series import Residuals

REACH = 4  # times the largest size tried, or the spread of the scores: what lies beyond is an arrow
MOST_TICKS = 9
LONGEST_LABEL = 26  # of two beside each other on a phone


def figures(evidence: Evidence, residuals: Residuals | None) -> dict[str, Drawn]:
    """The figures that this evidence allows, by name."""
    from hpo.web.forecast_figure import forecast_figure

    made = [
        _size_curve(evidence) if evidence.sizes else None,
        _alpha_path(evidence.answer.alpha_path),
        _fit(evidence) if evidence.sizes else None,
        forecast_figure(evidence),
        _residuals(residuals.checks) if residuals and residuals.checks else None,
        _importance(evidence.answer.importance),
    ]
    return {figure.name: figure for figure in made if figure is not None}


def _size_curve(evidence: Evidence) -> Drawn:
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
        draw=partial(_draw_size_curve, evidence),
        height=3.8,
        narrow=3.6,
    )


def _draw_size_curve(evidence: Evidence, figure: Figure) -> None:
    axes, answer = figure.subplots(), evidence.answer
    low, high = answer.cells_tied or (0, 0)
    if high:
        axes.axvspan(low / 1.12, high * 1.12, color=FAINT, alpha=0.55, lw=0, label="as good")
    for layers in sorted({len(s.cells) for s in evidence.sizes}):
        _draw_layers(axes, [s for s in evidence.sizes if len(s.cells) == layers], layers)
    finalists = evidence.finalists
    axes.errorbar(
        [sum(f.cells) for f in finalists],
        [f.score for f in finalists],
        [f.behind_se if isfinite(f.behind_se) else 0 for f in finalists],
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=2.5,
        zorder=4,
    )
    axes.plot(
        [sum(f.cells) for f in finalists],
        [f.score for f in finalists],
        "o",
        color="none",
        markeredgecolor=INK,
        markersize=8,
        lw=0,
        label="finalist, fresh seeds",
        zorder=5,
    )
    axes.plot(
        sum(answer.cells or ()), answer.score or np.nan, "*", color=INK, markersize=12, lw=0,
        label="recommended", zorder=6,
    )  # fmt: skip
    scale_sizes(axes, sorted({s.cells_in_all for s in evidence.sizes}))
    draw_benchmark(axes, answer.benchmarks, answer.best_benchmark or "")
    _draw_bound(axes, evidence)
    axes.set(xlabel="cells of all layers together", ylabel=f"{METRICS[answer.metric]} on the folds")
    legend_above(axes)


def _draw_layers(axes: Axes, sizes: Sequence[SizeShown], layers: int) -> None:
    """The best of each number of cells, joined, with the standard error to the best of all."""
    best: dict[int, SizeShown] = {}
    for size in sorted(sizes, key=lambda size: size.score):
        best.setdefault(size.cells_in_all, size)
    line = [best[cells] for cells in sorted(best)]
    style = min(layers, len(LAYERS)) - 1
    axes.errorbar(
        [s.cells_in_all for s in line],
        [s.score for s in line],
        [s.behind_se for s in line],
        color=LAYERS[style],
        marker=MARKS[style],
        markersize=4,
        elinewidth=0.8,
        alpha=0.9,
        label=counted(layers, "layer"),
        zorder=3,
    )


def scale_sizes(axes: Axes, cells: Sequence[int]) -> None:
    """A scale of doublings, with ticks at sizes that were tried."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(cells[0] / 1.25, cells[-1] * 1.25)
    apart = log2(cells[-1] * 1.6 / cells[0]) / MOST_TICKS
    shown = [cells[0]]
    for cell in cells[1:]:
        if log2(cell / shown[-1]) >= apart:
            shown.append(cell)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.set_xticklabels([f"{cell:,}" for cell in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_bound(axes: Axes, evidence: Evidence) -> None:
    """The bound as a line, or an arrow where it is far to the right."""
    bound = evidence.answer.bound
    if bound is None or bound.max_cells is None:
        return
    left, right = axes.get_xlim()
    words = f"bound {bound.max_cells:,}" + ("" if bound.rule == "formula" else " (1 layer)")
    low, high = axes.get_ylim()
    rival = evidence.answer.benchmarks.get(evidence.answer.best_benchmark or "", low)
    is_taken = rival > low + 0.8 * (high - low)  # by the benchmark's name
    y = 0.8 if is_taken else 0.99
    if bound.max_cells > REACH * right:
        axes.annotate(
            f"{words} →", (1, y), xycoords="axes fraction", ha="right", va="top", color=SOFT
        )
        return
    axes.set_xlim(left, max(right, bound.max_cells * 1.25))
    axes.axvline(bound.max_cells, color=SOFT, ls=":", lw=1.2)
    axes.annotate(
        f"{words} ",
        (bound.max_cells, y),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        color=SOFT,
    )


def draw_benchmark(axes: Axes, scores: Mapping[str, float], best: str) -> None:
    """The best benchmark as a line, or an arrow where it is far from all networks."""
    score = scores.get(best)
    if score is None:
        return
    low, high = axes.get_ylim()
    words = f"{benchmark_name(best)} {score:.4g}"
    if not low - REACH * (high - low) <= score <= high + REACH * (high - low):
        place, arrow = ((1, 0.88), "↑") if score > high else ((1, 0.08), "↓")
        axes.annotate(
            f"{words} {arrow}", place, xycoords="axes fraction", ha="right", va="top", color=RIVAL
        )
        return
    axes.axhline(score, color=RIVAL, ls="--", lw=1.3)
    pad = 0.08 * (max(high, score) - min(low, score))
    axes.set_ylim(min(low, score - pad), max(high, score + pad))
    axes.annotate(
        words,
        (0.995, score),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=RIVAL,
    )


def _alpha_path(path: Sequence[AlphaPhase]) -> Drawn | None:
    """None where alpha stayed where it was: a figure of one point shows nothing."""
    if len(path) < 2:
        return None
    alphas = ", ".join(f"{phase.alpha:g}" for phase in path)
    return Drawn(
        name="alpha-path",
        title="The path of alpha",
        alt=f"Alpha went through {alphas}; below, the gap of the best network at each.",
        draw=partial(_draw_alpha_path, path),
        height=3.6,
        narrow=3.6,
    )


def _draw_alpha_path(path: Sequence[AlphaPhase], figure: Figure) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    phases = np.arange(1, len(path) + 1)
    above.step(phases, [p.alpha for p in path], where="mid", color=OURS)
    above.plot(phases, [p.alpha for p in path], "o", color=OURS, ms=4)
    for phase, told in zip(phases, path, strict=True):
        above.annotate(
            "×".join(map(str, told.cells)),
            (phase, told.alpha),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
        )
    above.set(ylabel="alpha", title="alpha in force, with the cells of the best network")
    above.margins(y=0.3)
    known = [(phase, p.gap) for phase, p in zip(phases, path, strict=True) if p.gap is not None]
    below.errorbar(
        [phase for phase, _ in known],
        [gap.ratio for _, gap in known],
        [[gap.ratio - gap.low for _, gap in known], [0.0] * len(known)],
        color=OURS,
        marker="o",
        ms=4,
        lw=0,
        elinewidth=1.2,
        capsize=2.5,
        label="validation over training error, with its lower limit",
    )
    expected = [(phase, gap.expected) for phase, gap in known if gap.expected is not None]
    if expected:
        below.plot(
            [phase for phase, _ in expected],
            [value for _, value in expected],
            "_",
            color=RIVAL,
            ms=16,
            mew=1.6,
            label="of a linear network of as many weights",
        )
    below.axhline(1, color=FAINT, lw=1)
    below.set(xlabel="phase of the search", ylabel="gap")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.margins(x=0.12, y=0.2)
    legend_above(below)


def _fit(evidence: Evidence) -> Drawn:
    return Drawn(
        name="fit-and-forecast",
        title="How well networks fit, and how well they forecast",
        alt="Training and validation error against size, one pair of lines per number of layers.",
        draw=partial(_draw_fit, evidence.sizes),
    )


def _draw_fit(sizes: Sequence[SizeShown], figure: Figure) -> None:
    axes = figure.subplots()
    for layers in sorted({len(s.cells) for s in sizes}):
        best: dict[int, SizeShown] = {}
        for size in sorted(sizes, key=lambda size: size.score):
            if len(size.cells) == layers:
                best.setdefault(size.cells_in_all, size)
        line, style = [best[cells] for cells in sorted(best)], min(layers, len(LAYERS)) - 1
        x = [s.cells_in_all for s in line]
        look: dict[str, Any] = {"color": LAYERS[style], "marker": MARKS[style], "ms": 4.5}
        name = counted(layers, "layer")
        axes.plot(x, [s.valid_loss for s in line], **look, label=f"{name}: validation")
        axes.plot(
            x, [s.train_loss for s in line], **look, ls=":", mfc="none", label=f"{name}: training"
        )
    scale_sizes(axes, sorted({s.cells_in_all for s in sizes}))
    axes.set(xlabel="cells of all layers together", ylabel="mean loss, as trained")
    legend_above(axes)


def _residuals(checks: Checks) -> Drawn:
    return Drawn(
        name="residuals",
        title="What the forecasts leave",
        alt=f"Autocorrelation of {checks.count} residuals at lags 1 to {checks.lags}.",
        draw=partial(_draw_residuals, checks),
        height=2.4,
        narrow=2.6,
    )


def _draw_residuals(checks: Checks, figure: Figure) -> None:
    axes = figure.subplots()
    lags = np.arange(1, checks.lags + 1)
    axes.axhspan(-checks.band, checks.band, color=FAINT, alpha=0.55, lw=0, label="chance (95 %)")
    axes.bar(lags, checks.autocorrelation_K, width=0.35, color=OURS)
    axes.axhline(0, color=SOFT, lw=0.8)
    reach = max(0.5, 1.15 * float(np.abs(checks.autocorrelation_K).max()), 1.3 * checks.band)
    axes.set(xlabel="lag, steps", ylabel="autocorrelation", ylim=(-reach, reach))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(axes)


def _importance(shares: dict[str, float] | None) -> Drawn | None:
    if not shares:
        return None
    told = ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares.items())
    return Drawn(
        name="importance",
        title="What set the best trials apart",
        alt=f"Share of each parameter: {told}.",
        draw=partial(_draw_importance, shares),
        height=0.7 + 0.32 * len(shares),
        narrow=0.7 + 0.32 * len(shares),
    )


def _draw_importance(shares: dict[str, float], figure: Figure) -> None:
    axes = figure.subplots()
    names = sorted(shares, key=lambda name: shares[name])
    bars = axes.barh(
        [name.replace("_", " ") for name in names], [shares[n] for n in names], color=OURS,
        height=0.55,
    )  # fmt: skip
    axes.bar_label(bars, [f"{shares[n]:.0%}" for n in names], padding=4, color=INK)
    axes.set_xlim(0, 1.12)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])


def legend_above(axes: Axes) -> None:
    """Above the axes, in rows that fit the width."""
    handles, labels = axes.get_legend_handles_labels()
    is_narrow = axes.get_figure(root=True).get_figwidth() <= NARROW_IN  # type: ignore[union-attr]
    most = 1 if max(map(len, labels), default=0) > LONGEST_LABEL else 2
    axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.0, 1, 0.2),
        mode=None,
        ncols=min(len(labels), most if is_narrow else 6),
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.2,
    )
