"""The figure of the test span: what came, what the recommended network and a benchmark forecast.

Shapes: O origins, H horizon.
"""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo.data.folds import rows_ahead
from hpo.data.prepare import Prepared
from hpo.service.evidence import Evidence, Floats, ForecastsShown
from hpo.spec.words import benchmark_name, counted
from hpo.web.drawing import NARROW_IN, OURS, RIVAL, TRUTH, Drawn

MOST_STEPS = 150  # of a series
MOST_SERIES = 4
PAST = 0.5  # of the steps shown, before them


def forecast_figure(evidence: Evidence) -> Drawn | None:
    """None where the data are not here, or no forecasts were kept."""
    test, prepared = evidence.test, evidence.prepared
    if test is None or prepared is None:
        return None
    series = series_shown(test)
    rival = benchmark_name(evidence.answer.best_benchmark or "")
    horizon = counted(prepared.study.task.horizon, "step")
    which = f" of {len(series)} series, from the best forecast to the worst" * (len(series) > 1)
    high = -(-len(series) // 2)
    return Drawn(
        name="test-span",
        title="The test span",
        alt=f"The test span{which}: the truth, forecasts {horizon} ahead by the recommended network"
        f" and by the best benchmark ({rival}).",
        draw=partial(_draw, test, prepared, series, rival),
        height=3.2 if len(series) == 1 else 1.0 + 1.9 * high,
        narrow=3.0 if len(series) == 1 else 1.0 + 1.7 * len(series),
    )


def series_shown(test: ForecastsShown) -> list[int]:
    """All, or four of a panel: from the one that was forecast best to the one forecast worst."""
    series_O, scale_O = test.fold.series_O, test.fold.scale_O
    errors_O = np.abs(test.truth_OH - test.network_OH).mean(axis=1) / scale_O
    found = np.unique(series_O)
    errors = np.array([errors_O[series_O == s].mean() for s in found])
    order = found[np.argsort(errors, kind="stable")]
    taken = np.linspace(0, len(order) - 1, min(len(order), MOST_SERIES)).round().astype(int)
    return [int(s) for s in order[taken]]


def _draw(
    test: ForecastsShown, prepared: Prepared, series: list[int], rival: str, figure: Figure
) -> None:
    is_narrow = figure.get_figwidth() <= NARROW_IN
    columns = 1 if is_narrow or len(series) == 1 else 2
    grid = figure.subplots(-(-len(series) // columns), columns, squeeze=False)
    for axes, s in zip(grid.flat, series, strict=False):
        _draw_series(axes, test, prepared, s, rival)
        _set_ticks(axes, prepared.panel.times_R, 5 if columns == 2 or is_narrow else 8)
        if len(series) > 1:
            axes.set_title(prepared.panel.names[s])
    for axes in grid.flat[len(series) :]:
        axes.set_visible(False)
    if len(series) == 1:
        grid.flat[0].set_ylabel(prepared.panel.columns[0])
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, handlelength=1.6)


def _draw_series(
    axes: Axes, test: ForecastsShown, prepared: Prepared, series: int, rival: str
) -> None:
    panel, horizon = prepared.panel, test.truth_OH.shape[1]
    mine = np.flatnonzero(test.fold.series_O == series)
    mine = mine[np.argsort(test.fold.origins_O[mine])]
    apart = _apart(test.fold.origins_O[mine], horizon)
    mine = mine[apart][-max(MOST_STEPS // horizon, 1) :]
    rows_OH = rows_ahead(test.fold.origins_O[mine], horizon)
    past = max(2, round(PAST * rows_OH.size))
    begin = max(int(panel.starts_S[series]), int(rows_OH[0, 0]) - past)
    known = np.arange(begin, int(rows_OH[-1, -1]) + 1)
    truth_R = np.where(
        panel.known_R[known], panel.values_RF[known, 0], np.nan
    )  # filled is no truth
    axes.plot(
        panel.times_R[known],
        truth_R,
        color=TRUTH,
        lw=1.1,
        label="truth",
        zorder=2,
    )
    if test.benchmark_OH is not None:
        _draw_paths(axes, panel.times_R, rows_OH, test.benchmark_OH[mine], RIVAL, rival, "--")
    _draw_paths(axes, panel.times_R, rows_OH, test.network_OH[mine], OURS, "network", "-")
    axes.axvspan(
        panel.times_R[rows_OH[0, 0] - 1], panel.times_R[rows_OH[-1, -1]], color=OURS, alpha=0.06,
        lw=0,
    )  # fmt: skip


def _apart(origins_O: np.ndarray[tuple[int], np.dtype[np.int64]], horizon: int) -> list[int]:
    """Of the origins, from the last one back, those whose forecasts do not overlap."""
    taken: list[int] = []
    for place in range(len(origins_O) - 1, -1, -1):
        if not taken or origins_O[taken[-1]] - origins_O[place] >= horizon:
            taken.append(place)
    return taken[::-1]


def _draw_paths(
    axes: Axes,
    times_R: Floats,
    rows_OH: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    forecast_OH: Floats,
    colour: str,
    label: str,
    style: str,
) -> None:
    """One line of forecasts one step ahead; of longer ones a line for each origin."""
    look: dict[str, Any] = {"color": colour, "ls": style, "lw": 1.3, "zorder": 3}
    if rows_OH.shape[1] == 1:
        mark = "o" if len(rows_OH) <= 40 else ""
        axes.plot(times_R[rows_OH[:, 0]], forecast_OH[:, 0], marker=mark, ms=3, label=label, **look)
        return
    for place, (rows_H, path_H) in enumerate(zip(rows_OH, forecast_OH, strict=True)):
        axes.plot(times_R[rows_H], path_H, marker="o", ms=2, label="" if place else label, **look)


def _set_ticks(axes: Axes, times_R: np.ndarray[tuple[int], np.dtype[Any]], ticks: int) -> None:
    """Few of them, dates told as briefly as they can be."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if not np.issubdtype(times_R.dtype, np.datetime64):
        axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
        return
    locator = AutoDateLocator(minticks=3, maxticks=ticks)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
