"""A model that was taken away: loaded from its folder, it forecasts from recent rows.

It needs no study, no database and none of what searched for it. Shapes: S series, H horizon.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpo.data import calendar
from hpo.data.folds import rows_ahead
from hpo.data.forecast import forecast_from
from hpo.data.panel import Panel
from hpo.errors import UsageError
from hpo.export import bundle
from hpo.export.contents import Contents, from_files
from hpo.export.history import History, read_history
from hpo.export.intervals import DEFAULT_LEVEL, LEVELS, Coverage
from hpo.export.signature import Signature
from hpo.spec.answer import Answer
from hpo.spec.study import Study
from hpo.training.engine import engine_for, native_is_available
from hpo.training.trainer import Predictor, Shape, Trainer

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


class Model:
    """An ensemble of LSTM networks with all that turns rows into forecasts.

    `signature`: the columns, the window and the networks; `study` and `answer`: what was asked and
    found; `coverage`: what its prediction intervals held, None where it has none.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        trainer = _trainer(contents.signature.engine, contents.signature.shape)
        self._predictors: list[Predictor] = [
            trainer.predictor(contents.signature.shape, weights)
            for weights in contents.weights.values()
        ]

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self._contents.signature

    @property
    def study(self) -> Study:
        """What was asked."""
        return self._contents.study

    @property
    def answer(self) -> Answer:
        """What was found, and how sure it is."""
        return self._contents.evidence.answer

    @property
    def coverage(self) -> Coverage | None:
        """What intervals of 80 % held of the folds and of the test span."""
        intervals = self._contents.evidence.intervals
        return intervals.coverage if intervals else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was amiss when it was made."""
        return self._contents.evidence.warnings

    def __repr__(self) -> str:
        s = self.signature
        return f"<Model of {self.study.name}: {s.target}, {s.lookback} rows in, {s.horizon} out>"

    def predict(self, frame: Any, *, level: int | Sequence[int] = DEFAULT_LEVEL) -> "pd.DataFrame":
        """The next `horizon` rows of every series in a frame of its recent rows, at least lookback.

        `frame` (pandas, or any that narwhals knows) has the columns of the training data. What
        comes back has the times after each series' last known target, its name, the forecast under
        the target's name and, for each `level` in percent (one, several or none), an interval as
        `TARGET-lo-80` and `TARGET-hi-80`. Without a column of times the steps are counted from 1,
        in a column `step`; times without a regular step are not continued but left empty.

        The forecast is the mean of the networks'. The phase of a season is told from the times;
        where these have no regular step, the first row given is taken to be in the phase of the
        first training row. `attrs["warnings"]` lists what was changed or supposed.

        Raises DataError for rows that cannot be used, such as series that the model does not know,
        another frequency or too few rows; UsageError for a level that it has no interval of.
        """
        return self._predict(frame, self.signature.data, _levels(level))

    def predict_file(
        self, source: str | Path, *, level: int | Sequence[int] = DEFAULT_LEVEL
    ) -> "pd.DataFrame":
        """`predict` for a CSV or Parquet file. Raises DataError, naming line, column and value."""
        from hpo.data.load import read_file

        data = self.signature.data_in(str(source))
        return self._predict(read_file(data), data, _levels(level))

    def _predict(self, frame: Any, data: Any, levels: tuple[int, ...]) -> "pd.DataFrame":
        widths = self._half_widths(levels)
        history = read_history(frame, self.signature, data)
        table, warnings = self._outline(history), history.warnings
        lows_highs, point_SH = self._forecast(history, widths)
        target = self.signature.target
        table[target] = point_SH.ravel()
        for level, (low_SH, high_SH) in lows_highs.items():
            table[f"{target}-lo-{level}"] = low_SH.ravel()
            table[f"{target}-hi-{level}"] = high_SH.ravel()
        if levels and not self._contents.evidence.intervals:
            warnings = (*warnings, *self._contents.evidence.warnings)
        table.attrs["warnings"] = list(warnings)
        return table

    def _half_widths(self, levels: tuple[int, ...]) -> dict[int, Floats]:
        intervals = self._contents.evidence.intervals
        if intervals is None:
            return {}
        for level in levels:
            if level not in intervals.half_widths:
                raise UsageError(
                    f"the model has no intervals of {level} %: they rest on {intervals.errors}"
                    " errors",
                    remedy=f"ask for {max(intervals.half_widths)} % at most",
                )
        return {level: np.array(intervals.half_widths[level]) for level in levels}

    def _forecast(
        self, history: History, widths: dict[int, Floats]
    ) -> tuple[dict[int, tuple[Floats, Floats]], Floats]:
        """Intervals by level and the forecasts, each S x H."""
        signature, rows = self.signature, history.rows
        starts_S, origins_S = rows.starts_S[:-1], rows.starts_S[1:] - 1
        transform = self._contents.transform.for_series(history.index_S, starts_S - history.phase_S)
        scaled_RF = transform.apply(_panel(history, signature))
        series_S = np.arange(len(starts_S))
        point_SH = np.mean(
            [
                forecast_from(
                    origins_S,
                    series_S,
                    predict,
                    transform,
                    scaled_RF,
                    lookback=signature.lookback,
                    horizon=signature.horizon,
                    strategy=signature.strategy,
                )
                for predict in self._predictors
            ],
            axis=0,
        )
        rows_SH = rows_ahead(origins_S, signature.horizon)
        centre_SH = transform.scaled_target(point_SH, rows_SH, series_S)
        found = {
            level: (
                transform.invert(centre_SH - widths_H, rows_SH, series_S),
                transform.invert(centre_SH + widths_H, rows_SH, series_S),
            )
            for level, widths_H in widths.items()
        }
        return found, point_SH

    def _outline(self, history: History) -> "pd.DataFrame":
        """Times (or steps) and series of the rows that are forecast."""
        import pandas as pd

        signature, rows = self.signature, history.rows
        count, horizon = len(rows.names), signature.horizon
        if history.times_R is None:
            name, times = "step", np.tile(np.arange(1, horizon + 1), count)
        else:
            name, times = signature.time or "time", _times_ahead(history, signature)
        table = pd.DataFrame({name: times})
        if signature.series:
            table[signature.series] = np.repeat(np.array(rows.names, dtype=object), horizon)
        return table


def load(folder: str | Path) -> Model:
    """The model in a folder that `hpo export` wrote. Nothing in the folder is run.

    Raises DataError for a folder or a file in it that is missing, changed, cut short, too much or
    of another format.

    >>> load("airline-model").predict(frame)  # doctest: +SKIP
    """
    path = Path(folder)
    return Model(from_files(bundle.read(path), path))


def _trainer(policy: str, shape: Shape) -> Trainer:
    """What runs the networks here: the engine that trained them, else torch, on the processor."""
    if engine_for(policy, shape.cells) == "native" and native_is_available():
        from hpo.training.native_trainer import NativeTrainer

        return NativeTrainer()
    from hpo.training.torch_trainer import TorchTrainer

    return TorchTrainer("cpu")


def _levels(level: int | Sequence[int]) -> tuple[int, ...]:
    levels = tuple(level) if isinstance(level, Sequence) else (level,)
    for asked in levels:
        if asked not in LEVELS:
            raise UsageError(f"level={asked} must be a whole number of percent from 1 to 99")
    return levels


def _panel(history: History, signature: Signature) -> Panel:
    rows = history.rows
    return Panel(
        values_RF=rows.values_RF,
        known_R=rows.known_R,
        starts_S=rows.starts_S,
        names=rows.names,
        times_R=rows.times_R,
        columns=(signature.target, *signature.covariates),
        frequency=signature.calendar.frequency,
        season=signature.season,
        warnings=history.warnings,
        fingerprint="",
    )


def _times_ahead(history: History, signature: Signature) -> Any:
    """The times of the rows that are forecast, series after series; missing without a step."""
    assert history.times_R is not None
    step, horizon = signature.calendar.step, signature.horizon
    spans = zip(history.rows.starts_S[:-1], history.rows.starts_S[1:], strict=True)
    if step is None:
        count, is_date = horizon * len(history.rows.names), history.times_R.dtype.kind == "M"
        return np.full(count, np.datetime64("NaT", "s") if is_date else np.nan)
    return np.concatenate(
        [calendar.following(history.times_R[a:b], horizon, step) for a, b in spans]
    )
