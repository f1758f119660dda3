"""A panel is made even for a network, and forecasts are turned back.

Shapes: R rows, F features, S series, M steps of a season, O origins, H horizon.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hpo.data.panel import Panel
from hpo.data.season import has_season, level_wanders, log_gain, shrunken_indices
from hpo.errors import DataError, SpecError

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MOST_VOTERS = 100  # series that are looked at, evenly taken
LIKELIER = 1.92  # nats: one parameter at 5 %
SEASONAL_SHARE = 0.1  # twice what the test for a season finds by chance
MOST_ROWS = 5_000  # of a series that are looked at, the last ones
LARGEST_LOG = 300.0  # exp of it, squared, is still a float64
LARGEST_SCALED = 1e9
ROUNDING = 1e-14  # of a float64, relative


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
    """What was fitted on training parts; `apply` and `invert` change nothing in it.

    steps: "none" or log, deseasonalise, difference joined by "+" (standardising always happens).
    floor_S: the least value that the log is taken of. seasonal_SM: what each phase adds (on the
    scale of the log, if any). centre_SF, scale_SF: what is taken off and divided by.
    """

    steps: str
    starts_S: Ints
    floor_S: Floats
    seasonal_SM: Floats
    centre_SF: Floats
    scale_SF: Floats

    @property
    def anchored(self) -> bool:
        """Whether the last target value of a window is taken off the window and its targets."""
        return "difference" in self.steps

    def apply(self, panel: Panel) -> Singles:
        """The panel's values as a network sees them: float32, (R, F), not yet anchored."""
        series_R = np.repeat(np.arange(len(panel.names)), panel.lengths_S)
        scaled_RF = np.empty((len(series_R), len(panel.columns)), dtype=np.float32)
        for feature in range(len(panel.columns)):
            column_R = panel.values_RF[:, feature].copy()
            if feature == 0:
                column_R = self._even(column_R, series_R)
            column_R -= self.centre_SF[series_R, feature]
            column_R /= self.scale_SF[series_R, feature]
            scaled_RF[:, feature] = np.clip(column_R, -LARGEST_SCALED, LARGEST_SCALED)
        return scaled_RF

    def invert(self, scaled_OH: npt.NDArray[np.floating], rows_OH: Ints, series_O: Ints) -> Floats:
        """Forecasts of the target on its own scale (float64, O x H).

        rows_OH: the row each step is for, counted as the panel's (may lie beyond a series' end);
        series_O: the series of each origin. The anchor must have been added back.
        """
        centre_O, scale_O = self.centre_SF[series_O, 0], self.scale_SF[series_O, 0]
        y_OH: Floats = scaled_OH.astype(np.float64) * scale_O[:, None] + centre_O[:, None]
        if "deseasonalise" in self.steps:
            y_OH = y_OH + self._seasonal_of(rows_OH, series_O)
        if "log" in self.steps:
            y_OH = np.exp(np.clip(y_OH, -LARGEST_LOG, LARGEST_LOG))
        return y_OH

    def scaled_target(self, y_OH: Floats, rows_OH: Ints, series_O: Ints) -> Floats:
        """`invert` undone: the target as a network sees it (float64, O x H), not anchored.

        With a log, values that are not positive count as the least value that a log is taken of.
        """
        if "log" in self.steps:
            y_OH = np.log(np.where(y_OH > 0, y_OH, self.floor_S[series_O, None]))
        if "deseasonalise" in self.steps:
            y_OH = y_OH - self._seasonal_of(rows_OH, series_O)
        centre_O, scale_O = self.centre_SF[series_O, 0], self.scale_SF[series_O, 0]
        scaled_OH: Floats = (y_OH - centre_O[:, None]) / scale_O[:, None]
        return scaled_OH

    def for_series(self, index_S: Ints, starts_S: Ints) -> "Transform":
        """The same for some of its series, in this order, whose rows of phase 0 are starts_S."""
        return replace(
            self,
            starts_S=starts_S,
            floor_S=self.floor_S[index_S],
            seasonal_SM=self.seasonal_SM[index_S],
            centre_SF=self.centre_SF[index_S],
            scale_SF=self.scale_SF[index_S],
        )

    def _seasonal_of(self, rows_OH: Ints, series_O: Ints) -> Floats:
        phase_OH = (rows_OH - self.starts_S[series_O, None]) % self.seasonal_SM.shape[1]
        seasonal_OH: Floats = self.seasonal_SM[series_O[:, None], phase_OH]
        return seasonal_OH

    def _even(self, target_R: Floats, series_R: Ints) -> Floats:
        if "log" in self.steps:
            target_R = np.log(np.maximum(target_R, self.floor_S[series_R]))
        if "deseasonalise" in self.steps:
            row_R = np.arange(len(target_R)) - self.starts_S[series_R]
            target_R = target_R - self.seasonal_SM[series_R, row_R % self.seasonal_SM.shape[1]]
        return target_R


def choose(panel: Panel, train_ends_S: Ints, requested: str) -> str:
    """The steps of the transform: those requested, or for "auto" those the series ask for.

    Looked at are the rows before train_ends_S only (at most 100 series are asked). In this order:
    `log` where all values of all series are positive and it makes their changes likelier;
    `deseasonalise` where one series in ten has a season by its autocorrelation (`fit` then asks
    every series); `difference` where the KPSS test refuses, in most series, that what is left keeps
    its level (see hpo.data.season for the tests). Otherwise "none": values are only standardised.
    Raises DataError for a log of values that are not positive, SpecError for a season of 1.
    """
    if requested != "auto":
        _refuse_impossible(panel, requested)
        return requested
    voters = _voters(panel, train_ends_S)
    steps = []
    positive = all(y_R.min() > 0 for y_R in _training_parts(panel, train_ends_S))
    if positive and sum(log_gain(y_R, panel.season) for y_R in voters) > LIKELIER:
        steps.append("log")
        voters = [np.log(y_R) for y_R in voters]
    seasonal = [has_season(y_R, panel.season) for y_R in voters]
    if sum(seasonal) >= max(1.0, SEASONAL_SHARE * len(voters)):
        steps.append("deseasonalise")
        voters = [
            y_R - _seasonal(y_R, panel.season)[np.arange(len(y_R)) % panel.season] for y_R in voters
        ]
    if _majority([level_wanders(y_R) for y_R in voters]):
        steps.append("difference")
    return "+".join(steps) or "none"


def fit(panel: Panel, train_ends_S: Ints, steps: str) -> Transform:
    """The transform of these steps, fitted on each series' rows before train_ends_S.

    `deseasonalise` takes off the (shrunken) seasonal indices of each series that has a season in
    these rows (a single series is not asked again); of the others, nothing. Targets and covariates
    are standardised by mean and standard deviation; with `difference` targets are then all divided
    by one number more, so that the root mean square of the steps from row to row is 1 in the
    median series. A scale is never 0; a series without training rows keeps centre 0 and scale 1.
    """
    count, features = len(panel.names), len(panel.columns)
    season = panel.season if "deseasonalise" in steps else 1
    floor_S, seasonal_SM = np.ones(count), np.zeros((count, season))
    centre_SF, scale_SF = np.zeros((count, features)), np.ones((count, features))
    step_S = np.zeros(count)
    for s, (start, end) in enumerate(zip(panel.starts_S[:-1], train_ends_S, strict=True)):
        if end <= start:
            continue
        values_RF = panel.values_RF[start:end]
        target_R = values_RF[:, 0]
        if "log" in steps:
            floor_S[s] = _log_floor(target_R)
            target_R = np.log(np.maximum(target_R, floor_S[s]))
        if season > 1:
            seasonal_SM[s] = _seasonal(target_R, season, asked=count > 1)
            target_R = target_R - seasonal_SM[s, np.arange(len(target_R)) % season]
        centre_SF[s] = target_R.mean(), *values_RF[:, 1:].mean(axis=0)
        scale_SF[s] = _deviation(target_R), *(_deviation(c) for c in values_RF[:, 1:].T)
        step_S[s] = _step(target_R) / scale_SF[s, 0]
    if "difference" in steps and (has_step_S := step_S > 0).any():
        scale_SF[has_step_S, 0] *= np.median(step_S[has_step_S])
    return Transform(
        steps=steps,
        starts_S=panel.starts_S[:-1],
        floor_S=floor_S,
        seasonal_SM=seasonal_SM,
        centre_SF=centre_SF,
        scale_SF=scale_SF,
    )


def _refuse_impossible(panel: Panel, steps: str) -> None:
    if "deseasonalise" in steps and panel.season < 2:
        raise SpecError(
            "task.transform has deseasonalise, but the data has no season",
            remedy="set data.season to the steps in a season, or leave deseasonalise out",
        )
    wrong = np.flatnonzero(panel.values_RF[:, 0] <= 0)
    if "log" not in steps or not wrong.size:
        return
    row = int(wrong[0])
    series = int(np.searchsorted(panel.starts_S, row, side="right")) - 1
    of = f" of series {panel.names[series]!r}" if panel.names[series] else ""
    raise DataError(
        f"the log of {panel.values_RF[row, 0]:g} in column {panel.columns[0]!r} does not exist",
        where=f"row {row - panel.starts_S[series]} counted from 0{of}, time {panel.times_R[row]}",
        remedy="leave log out of task.transform, or correct the value",
    )


def _training_parts(panel: Panel, train_ends_S: Ints) -> list[Floats]:
    spans = zip(panel.starts_S[:-1], train_ends_S, strict=True)
    return [panel.values_RF[start:end, 0] for start, end in spans if end > start]


def _voters(panel: Panel, train_ends_S: Ints) -> list[Floats]:
    parts = _training_parts(panel, train_ends_S)
    taken = np.linspace(0, len(parts) - 1, min(len(parts), MOST_VOTERS)).astype(int)
    rows = max(MOST_ROWS, 4 * panel.season)
    return [parts[i][-rows:] for i in taken]


def _majority(votes: list[bool]) -> bool:
    return 2 * sum(votes) > len(votes)


def _seasonal(y_R: Floats, season: int, *, asked: bool = True) -> Floats:
    """What each phase of the season adds; if `asked`, 0 where the series has no season."""
    if asked and not has_season(y_R, season):
        return np.zeros(season)
    return shrunken_indices(y_R, season)


def _log_floor(target_R: Floats) -> float:
    positive_R = target_R[target_R > 0]
    return float(positive_R.min()) / 10 if positive_R.size else 1.0


def _step(target_R: Floats) -> float:
    """The root mean square of the changes from row to row; 0 where there are none."""
    if len(target_R) < 2:
        return 0.0
    change = float(np.sqrt(np.square(np.diff(target_R)).mean()))
    return change if is_change(change, target_R) else 0.0


def _deviation(column_R: Floats) -> float:
    deviation = float(column_R.std())
    return deviation if is_change(deviation, column_R) else 1.0


def is_change(size: float, column_R: Floats) -> bool:
    """Whether it is more than the rounding of the values."""
    return size > ROUNDING * float(np.abs(column_R).max())
