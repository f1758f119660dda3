"""An estimator in the style of scikit-learn and Nixtla: fit a frame, predict what comes next."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from hpo import api
from hpo.data.question import ask
from hpo.errors import UsageError
from hpo.handle import StudyHandle
from hpo.spec.options import from_keywords

if TYPE_CHECKING:
    import pandas as pd

    from hpo.export.model import Model
    from hpo.spec.answer import Answer

Size = Literal["auto"] | int | tuple[int, int]
OWN: dict[str, Any] = {  # parameters that are no values of a study, with their defaults
    "name": "",
    "storage": "",
    "workers": 1,
    "threads": 0,
    "timeout_s": 0.0,
    "progress": True,
}


class LSTMForecaster:
    """An LSTM of the size that a study finds, refitted on all rows: an ensemble of seeds.

    `layers` and `cells` (of each layer): "auto" leaves them to the study within its defaults, a
    number fixes them, a pair is the fewest and the most. `horizon`: steps ahead. Other keywords
    are values of a study (`target="sales", time="month", trials=30`; a long frame with
    `unique_id, ds, y` needs none) or say how it is run: `storage` (a database's URL; empty: a
    temporary one that lives as long as the forecaster), `name`, `workers`, `threads`, `timeout_s`,
    `progress`, as for `hpo.launch` and `StudyHandle.wait`. Raises SpecError for an unknown one.

    Fitting sets `answer_` (an Answer), `study_` (its StudyHandle), `model_` (the Model that
    forecasts), `layers_` and `cells_` (per layer). A size that was fixed is scored on folds and
    test span like any other: `answer_` says whether it is worth having.

    >>> LSTMForecaster(cells=8, horizon=12, target="sales")
    LSTMForecaster(cells=8, horizon=12, target='sales')
    """

    answer_: "Answer"
    study_: StudyHandle
    model_: "Model"
    layers_: int
    cells_: tuple[int, ...]

    def __init__(
        self, layers: Size = "auto", cells: Size = "auto", *, horizon: int = 1, **values: Any
    ) -> None:
        self._params: dict[str, Any] = {"layers": "auto", "cells": "auto", "horizon": 1}
        self.set_params(layers=layers, cells=cells, horizon=horizon, **values)

    def __repr__(self) -> str:
        usual = {"layers": "auto", "cells": "auto", "horizon": 1, **OWN}
        shown = [f"{k}={v!r}" for k, v in self._params.items() if k not in usual or v != usual[k]]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str | None:
        """Once fitted, the card of its study; before, its plain form will do."""
        return self.study_._repr_html_() if self._is_fitted else None

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  scikit-learn's face
        """What it was made with, so that `LSTMForecaster(**params)` is its unfitted copy."""
        return dict(self._params)

    def set_params(self, **params: Any) -> Self:
        """Change parameters; they count from the next `fit`. Raises SpecError for unknown ones."""
        from_keywords({key: value for key, value in params.items() if key not in OWN})
        self._params |= params
        return self

    def fit(self, frame: Any) -> Self:
        """Study the frame, choose the size, train it on all rows; returns itself.

        `frame`: pandas, any that narwhals knows, or the path of a CSV or Parquet file. Raises what
        `hpo.launch`, `StudyHandle.wait` and `StudyHandle.export` raise.
        """
        from hpo.export.model import load

        how = OWN | {key: self._params[key] for key in OWN if key in self._params}
        question = ask(frame, from_keywords(self._values()), name=how["name"])
        folder = self._own_folder()
        study = api.launch_question(
            question,
            storage=how["storage"] or f"sqlite:///{folder / 'hpo.db'}",
            workers=how["workers"],
            threads=how["threads"],
        )
        answer = study.wait(timeout_s=how["timeout_s"], progress=how["progress"])
        self.model_ = load(study.export(folder / "model"))
        self.answer_, self.study_, self._rows = answer, study, question.frame
        self.cells_ = answer.cells or ()
        self.layers_ = len(self.cells_)
        return self

    def predict(self, frame: Any = None, level: int | Sequence[int] = 80) -> "pd.DataFrame":
        """The next `horizon` rows of every series, after the frame or after what it was fitted to.

        `frame`: recent rows with the columns of the training frame, at least `answer_.lookback` of
        every series. See `Model.predict` for the columns that come back and what is raised;
        `level` is in percent, one or several. Raises UsageError before `fit`.
        """
        if not self._is_fitted:
            raise UsageError("the forecaster is not fitted yet", remedy="call fit(frame) first")
        return self.model_.predict(self._rows if frame is None else frame, level=level)

    @property
    def _is_fitted(self) -> bool:
        return hasattr(self, "model_")

    def _values(self) -> dict[str, Any]:
        """The values of the study; what is "auto" has the study's own default."""
        asked = {key: value for key, value in self._params.items() if key not in OWN}
        sizes = ("layers", "cells")
        return {k: v for k, v in asked.items() if k not in sizes or v != "auto"}

    def _own_folder(self) -> Path:
        """A new folder that goes when the forecaster does."""
        folder = Path(tempfile.mkdtemp(prefix="hpo-forecaster-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder
