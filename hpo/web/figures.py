"""The figures of a study that is done, drawn from its evidence.

Shapes: O origins, H horizon, N residuals.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo.service.evidence import Evidence, SizeShown
from hpo.service.shown import lines_by_layers
from hpo.sizing.residuals import Checks
from hpo.spec.answer import AlphaPhase
from hpo.spec.words import counted
from hpo.web.drawing import (
    FAINT,
    INK,
    OURS,
    RIVAL,
    SOFT,
    Drawn,
)
from hpo.web.residual_series import Residuals
from hpo.web.size_axes import legend_above, look_of, scale_sizes
from hpo.web.size_curve import size_curve


def figures(evidence: Evidence, residuals: Residuals | None) -> dict[str, Drawn]:
    """The figures that this evidence allows, by name."""
    from hpo.web.forecast_figure import forecast_figure

    made = [
        size_curve(evidence) if evidence.sizes else None,
        _alpha_path(evidence.answer.alpha_path),
        _fit(evidence) if evidence.sizes else None,
        forecast_figure(evidence),
        _residuals(residuals.checks) if residuals and residuals.checks else None,
        _importance(evidence.answer.importance),
    ]
    return {figure.name: figure for figure in made if figure is not None}


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
    for layers, line in lines_by_layers(sizes).items():
        x, look = [s.cells_in_all for s in line], look_of(layers)
        name = counted(layers, "layer")
        axes.plot(x, [s.valid_loss for s in line], **look, label=f"{name}: validation")
        axes.plot(
            x, [s.train_loss for s in line], **look, ls=":", mfc="none", label=f"{name}: training"
        )
    scale_sizes(axes, sizes)
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
