"""What figures of sizes share: their scale, lines, bound, best benchmark and legend."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from hpo.service.shown import Sized
from hpo.spec.answer import Answer
from hpo.spec.words import benchmark_name
from hpo.web.drawing import LAYERS, MARKS, NARROW_IN, RIVAL, SOFT

REACH = 4  # times the largest size tried, or the spread of the scores: what lies beyond is an arrow
MOST_TICKS = 9
LONGEST_LABEL = 26  # of two beside each other on a phone


def look_of(layers: int) -> dict[str, Any]:
    """Colour and mark of a line of networks of so many layers."""
    style = min(layers, len(LAYERS)) - 1
    return {"color": LAYERS[style], "marker": MARKS[style], "markersize": 4}


def scale_sizes(axes: Axes, sizes: Sequence[Sized]) -> None:
    """A scale of doublings, with ticks at sizes that were tried."""
    cells = sorted({size.cells_in_all for size in sizes})
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


def draw_bound(axes: Axes, answer: Answer) -> None:
    """The bound as a line, or an arrow where it is far to the right."""
    bound = answer.bound
    if bound is None or bound.max_cells is None:
        return
    left, right = axes.get_xlim()
    words = f"bound {bound.max_cells:,}" + ("" if bound.rule == "formula" else " (1 layer)")
    low, high = axes.get_ylim()
    rival = answer.benchmarks.get(answer.best_benchmark or "", low)
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
