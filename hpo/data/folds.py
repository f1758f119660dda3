"""Rolling origins: which rows train, and from which rows a forecast is scored.

Shapes: R rows, S series, O origins. All spans are counted from each series' own end, so that
series that end together share one calendar cutoff.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo.data.panel import Panel
from hpo.data.transform import is_change
from hpo.data.windows import TAIL_SHARE
from hpo.errors import DataError
from hpo.spec.words import counted, listed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MAX_ORIGINS = 4_096  # of a fold; more are thinned evenly
TEST_SHARE = 0.1
SCORED_SHARE = 0.4  # of the rows before the test span


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One training part and the origins after it that score it.

    train_ends_S: int64, the row after each series' training part; the series' first row where it
    is left out. origins_O: int64, the row of the last known value; series_O: its series.
    scale_O: float64, positive, what the metric divides errors by.
    """

    number: int
    train_ends_S: Ints
    origins_O: Ints
    series_O: Ints
    scale_O: Floats


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Rows at the end of a series: `test` of them held out, the `scored` before them scored."""

    test: int
    scored: int
    horizon: int
    folds: int

    @property
    def origins(self) -> int:
        """Origins whose targets all lie in the scored span."""
        return self.scored - self.horizon + 1

    @property
    def possible(self) -> bool:
        """Whether every fold, and the test span, has an origin."""
        return self.test >= self.horizon and self.origins >= self.folds


def spans(rows: int, *, horizon: int, test: int, folds: int) -> Spans:
    """The spans of a series of so many rows; test 0: the larger of two horizons and 10 %.

    >>> spans(144, horizon=12, test=0, folds=4)
    Spans(test=24, scored=48, horizon=12, folds=4)
    """
    held_out = test or max(2 * horizon, int(np.ceil(TEST_SHARE * rows)))
    scored = int(SCORED_SHARE * max(rows - held_out, 0))
    return Spans(test=held_out, scored=scored, horizon=horizon, folds=folds)


def reference_rows(panel: Panel) -> int:
    """The length of series that spans are made for: the median."""
    return int(np.median(panel.lengths_S))


def fewest_training_rows(*, lookback: int, horizon: int) -> int:
    """Rows a training part needs, so that windows remain when tail and purge are taken off.

    >>> fewest_training_rows(lookback=12, horizon=1)
    17
    """
    windows = int(np.ceil((horizon + 3) / (1 - TAIL_SHARE)))
    return lookback + horizon - 1 + windows


def rows_ahead(origins_O: Ints, horizon: int) -> Ints:
    """The rows (int64, O x H) that are forecast from each origin.

    >>> rows_ahead(np.array([3, 7]), 2).tolist()
    [[4, 5], [8, 9]]
    """
    rows_OH: Ints = origins_O[:, None] + 1 + np.arange(horizon)
    return rows_OH


def make_folds(
    panel: Panel, *, horizon: int, test: int, folds: int, metric: str, lookback: int
) -> tuple[tuple[Fold, ...], Fold, tuple[str, ...]]:
    """The folds, the test span as one more fold (number = folds), and warnings.

    The origins whose targets all lie in the last 40 % of the rows before the test span are cut
    into `folds` groups of near-equal size; a fold's training part ends with its first origin, so
    no target that is learnt from is scored. The test span is forecast from every origin in it.
    Origins with a target that was missing, and so filled, are left out of each; all else stays.
    test: rows, 0 for the default. lookback: the largest of the study.
    Raises DataError when too few rows, or no known targets, are left, naming what could change.
    """
    at = spans(reference_rows(panel), horizon=horizon, test=test, folds=folds)
    fewest = fewest_training_rows(lookback=lookback, horizon=horizon)
    if not at.possible:
        raise _too_few(panel, at, test, lookback)
    made: list[Fold] = []
    all_candidates: list[_Candidates] = []
    groups = [*np.array_split(np.arange(at.origins), folds), np.arange(at.test - horizon + 1)]
    for number, group in enumerate(groups):
        from_end = at.test + (at.scored if number < folds else 0) - int(group[0])
        ends_S = panel.starts_S[1:] - from_end
        takes_part_S = ends_S - panel.starts_S[:-1] >= fewest
        if not takes_part_S.any():
            raise _too_few(panel, at, test, lookback)
        train_ends_S = np.where(takes_part_S, ends_S, panel.starts_S[:-1])
        candidates = _candidates(panel, train_ends_S, len(group), horizon)
        if not candidates.known_O.any():
            raise _none_known(panel, at, number)
        made.append(_fold(panel, number, train_ends_S, candidates, metric))
        all_candidates.append(candidates)
    said = (*_left_out(panel, made), *_unscored(all_candidates), *_thinned(all_candidates))
    return tuple(made[:-1]), made[-1], said


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidates:
    """Every origin of a fold, its series, and whether all its targets are known."""

    origins_O: Ints
    series_O: Ints
    known_O: Bools


def _candidates(panel: Panel, train_ends_S: Ints, origins: int, horizon: int) -> _Candidates:
    series = np.flatnonzero(train_ends_S > panel.starts_S[:-1])
    series_O = np.repeat(series, origins)
    origins_O = train_ends_S[series_O] - 1 + np.tile(np.arange(origins), len(series))
    filled_before_R = np.concatenate(([0], np.cumsum(~panel.known_R)))
    filled_O = filled_before_R[origins_O + 1 + horizon] - filled_before_R[origins_O + 1]
    return _Candidates(origins_O=origins_O, series_O=series_O, known_O=filled_O == 0)


def _fold(
    panel: Panel, number: int, train_ends_S: Ints, candidates: _Candidates, metric: str
) -> Fold:
    taken_O = np.flatnonzero(candidates.known_O)
    if len(taken_O) > MAX_ORIGINS:
        evenly = np.linspace(0, len(taken_O) - 1, MAX_ORIGINS).round().astype(np.int64)
        taken_O = taken_O[evenly]
    series_O = candidates.series_O[taken_O]
    return Fold(
        number=number,
        train_ends_S=train_ends_S,
        origins_O=candidates.origins_O[taken_O],
        series_O=series_O,
        scale_O=_scales(panel, train_ends_S, metric)[series_O],
    )


def _scales(panel: Panel, train_ends_S: Ints, metric: str) -> Floats:
    scale_S = np.ones(len(panel.names))
    if metric != "mase":
        return scale_S
    for s, (start, end) in enumerate(zip(panel.starts_S[:-1], train_ends_S, strict=True)):
        if end > start:
            scale_S[s] = naive_scale(panel.values_RF[start:end, 0], panel.season)
    return scale_S


def naive_scale(y_R: Floats, season: int) -> float:
    """The mean absolute error of the seasonal naive: MASE's denominator (Hyndman, Koehler 2006).

    Where that is no more than rounding or cannot be had: the naive's, then the mean absolute
    value, then 1.

    >>> naive_scale(np.array([1.0, 2.0, 4.0, 6.0]), 2)
    3.5
    """
    candidates = [np.abs(y_R[m:] - y_R[:-m]) for m in (season, 1) if len(y_R) > m]
    means = (float(c.mean()) for c in (*candidates, np.abs(y_R)))
    return next((m for m in means if is_change(m, y_R)), 1.0)


def _unscored(candidates: list[_Candidates]) -> list[str]:
    total = sum(len(c.known_O) for c in candidates)
    unscored = total - sum(int(c.known_O.sum()) for c in candidates)
    if not unscored:
        return []
    are = "is" if unscored == 1 else "are"
    return [
        f"{unscored:,} of {counted(total, 'forecast')} {are} left unscored: "
        "a value to be forecast was missing"
    ]


def _thinned(candidates: list[_Candidates]) -> list[str]:
    most_origins = max(int(c.known_O.sum()) for c in candidates)
    if most_origins <= MAX_ORIGINS:
        return []
    return [
        f"forecasts are scored from {MAX_ORIGINS:,} origins a fold, evenly taken from up to "
        f"{most_origins:,}"
    ]


def _left_out(panel: Panel, made: list[Fold]) -> list[str]:
    missing_KS = np.stack([f.train_ends_S == panel.starts_S[:-1] for f in made])
    times_S = missing_KS.sum(axis=0)
    never_S, sometimes_S = times_S == len(made), (times_S > 0) & (times_S < len(made))
    said = []
    for which_S, words in (
        (never_S, "too short for any fold left out"),
        (sometimes_S, "too short for the first folds left out of these"),
    ):
        names = [n for n, short in zip(panel.names, which_S, strict=True) if short]
        if names:
            said.append(f"{len(names)} series {words}: {listed(names)}")
    return said


def _none_known(panel: Panel, at: Spans, number: int) -> DataError:
    part = f"fold {number + 1} of {at.folds}" if number < at.folds else "the test span"
    return DataError(
        f"no forecast of {part} can be scored: each has a value of {panel.columns[0]!r} to "
        "forecast that was missing",
        remedy=f"give the missing values, a smaller task.horizon ({at.horizon}) or "
        f"validation.folds ({at.folds}), another data.test ({at.test}), or leave data.time "
        "empty if only rows are missing: they are then taken as equally spaced",
    )


def _too_few(panel: Panel, at: Spans, test: int, lookback: int) -> DataError:
    rows = reference_rows(panel)
    if test and test < at.horizon:
        return DataError(
            f"a test span of data.test={test} rows holds no forecast of {at.horizon} steps",
            remedy=f"make data.test at least {at.horizon}, or task.horizon smaller",
        )
    typical = " in a typical series (the median)" if len(panel.names) > 1 else ""
    return DataError(
        f"too few rows: {rows}{typical}, where {_rows_needed(at, test, lookback)} are needed",
        remedy=f"give more rows, or a smaller task.horizon ({at.horizon}), task.lookback "
        f"({lookback}), validation.folds ({at.folds}) or data.test ({at.test})",
    )


def _rows_needed(at: Spans, test: int, lookback: int) -> int:
    """The fewest rows that make the folds possible, found by doubling and halving."""

    def enough(rows: int) -> bool:
        tried = spans(rows, horizon=at.horizon, test=test, folds=at.folds)
        training = rows - tried.test - tried.scored
        fewest = fewest_training_rows(lookback=lookback, horizon=at.horizon)
        return tried.possible and training >= fewest

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
